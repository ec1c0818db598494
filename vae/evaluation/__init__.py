"""A trained run: what it does with arrays, its groups of metrics, and the verbs."""
