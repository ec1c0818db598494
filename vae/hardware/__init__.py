"""Hardware that is not here: what a run or a sweep would need there, from its compiler."""
