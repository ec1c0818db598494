"""Compiled for accelerators that are not here, and measured on one that is."""
