"""Data: a table of data sets, the sources behind it, binarisation and the order of examples."""

from vae.data.dataset import Dataset, Split, describe
from vae.data.loading import load
from vae.data.preparing import prepare

__all__ = ["Dataset", "Split", "describe", "load", "prepare"]
