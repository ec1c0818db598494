"""Papers whose numbers are reproduced: one file each."""
