"""Configs to start from: each file has a `get_config()`, and some a `get_sweep()`."""
