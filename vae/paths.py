"""Where things are: the paths of a config, so that they hold from any directory."""

import os
from pathlib import Path

from ml_collections import ConfigDict


def absolute(path: str) -> str:
    """The path with `~` written out, against the directory where the command stands; "" stays."""
    return os.path.abspath(os.path.expanduser(path)) if path else ""


def data_dir(directory: str) -> Path:
    """TFDS's data_dir; '' stands for $TFDS_DATA_DIR, or ~/tensorflow_datasets."""
    default = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(absolute(directory or default))


def located(config: ConfigDict) -> ConfigDict:
    """A copy of a config whose paths are absolute.

    A run keeps this copy, so its verbs read the same data from any directory and under any
    $TFDS_DATA_DIR.
    """
    copy = ConfigDict(config.to_dict())
    copy.data.path = absolute(copy.data.path)
    copy.train.init_from = absolute(copy.train.init_from)
    copy.data.dir = absolute(copy.data.dir or os.environ.get("TFDS_DATA_DIR", ""))
    return copy.lock()


def moved(config: ConfigDict, to: ConfigDict) -> ConfigDict:
    """A copy of a config whose data have moved: its path is that of another config."""
    copy = ConfigDict(config.to_dict())
    copy.data.path = to.data.path
    return copy.lock()


def of_data(config: ConfigDict) -> str:
    """What a message calls the data of a config."""
    return config.data.path if config.data.name == "files" else config.data.name
