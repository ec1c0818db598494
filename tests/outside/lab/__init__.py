"""A package of someone else's: parts that a config names as `lab.parts:name`."""

__version__ = "1.0"
