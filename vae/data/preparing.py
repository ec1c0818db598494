"""Making a data set ready: from the internet, or from local original files."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from vae import runs
from vae.data import adbench, cifar, idx, records, sources
from vae.data.table import Row, row
from vae.errors import RunError, UserError
from vae.paths import data_dir

LOCAL = (*idx.FAMILY, "cifar10")  # of TFDS's data sets, those made from local original files


def prepare(name: str, directory: str = "", source_dir: str | None = None) -> Path:
    """Makes `directory/NAME/VERSION` and returns it; does nothing where it is there already.

    TFDS writes into a folder of another name and renames it at the end. So what an interruption
    leaves is never taken for the data set, and the next call deletes it.

    Args:
      name: of a row whose source is TFDS or files of arrays; "adbench": all of its tables.
      directory: TFDS's data_dir; '' for $TFDS_DATA_DIR or ~/tensorflow_datasets.
      source_dir: folder of the original files, read without TensorFlow; among TFDS's data sets only
        for those of LOCAL: IDX files of the MNIST family, CIFAR-10's binary version.

    Raises:
      UserError: nothing to prepare, TensorFlow is missing, or the original files are wrong.
      RunError: the download or the writing failed.
    """
    if name == "adbench":
        made = [prepare(each, directory, source_dir) for each in _at_hand(source_dir)]
        return made[0].parent.parent
    entry = row(name)
    if entry.source == "arrays":
        return sources.prepare(name, entry, directory, source_dir)
    if entry.source != "tfds":
        raise UserError(f"{name} needs no preparing: train with data.name={name} right away")
    if source_dir is not None and name not in LOCAL:
        raise UserError(f"prepare {name}: --from reads {', '.join(LOCAL)}; leave it out")
    folder = records.folder(entry, directory)
    if folder.exists():
        records.check(folder, name, directory)
        return folder
    if source_dir is None and importlib.util.find_spec("tensorflow") is None:
        raise UserError(f"downloading {name} needs TensorFlow: pip install tensorflow-cpu")
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import download_manager, extractor, util

    where = {"data_dir": data_dir(directory), "file_format": "array_record"}
    try:
        if source_dir is None:
            builder = tfds.builder(entry.tfds, version=entry.version, **where)
        else:
            builder = _local_builder(name, entry, Path(source_dir).expanduser())(**where)
        with runs.locked(folder.parent):  # so that what is unfinished is nobody's
            for left in folder.parent.glob(f"incomplete.*_{folder.name}"):
                shutil.rmtree(left)
            builder.download_and_prepare()
    except ImportError as error:  # a package that only this data set's original files need
        raise UserError(f"preparing {name} needs another package: {_line(error)}") from error
    except (
        OSError,  # the network's and the disk's
        RuntimeError,  # the disk's, from the writer of array_record files
        util.DownloadError,
        extractor.ExtractError,
        download_manager.NonMatchingChecksumError,
    ) as error:
        raise RunError(f"preparing {name} failed: {_line(error)}") from error
    return folder


def _at_hand(source_dir: str | None) -> list[str]:
    """ADBench's tables: those in a folder, or all of them.

    Raises:
      UserError: the folder has none.
    """
    if source_dir is None:
        return list(adbench.NAMES)
    folder = Path(source_dir).expanduser()
    found = [name for name, file in adbench.NAMES.items() if (folder / file).exists()]
    if not found:
        raise UserError(f"{folder} holds no table of ADBench, such as 38_thyroid.npz")
    return found


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _local_builder(name: str, entry: Row, folder: Path) -> Any:
    """Returns TFDS's own builder of that name, fed from local files and free of TensorFlow."""
    import tensorflow_datasets as tfds
    from PIL import Image
    from tensorflow_datasets.image_classification import cifar as cifars
    from tensorflow_datasets.image_classification import mnist

    official: Any = {
        "mnist": mnist.MNIST,
        "fashion_mnist": mnist.FashionMNIST,
        "kmnist": mnist.KMNIST,
        "emnist/letters": mnist.EMNIST,
        "cifar10": cifars.Cifar10,
    }[name]
    # Read before TFDS makes a folder: wrong files are found while there is nothing to undo.
    data, names = _read(name, entry, folder)
    with tfds.core.registered.skip_registration():

        class Local(official):
            def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
                if names:
                    self.info.features["label"].names = names
                return {split: self._generate_examples(split) for split in data}

            def _generate_examples(self, split: str) -> Any:
                for index, (image, label) in enumerate(zip(*data[split], strict=True)):
                    # Pillow's images become PNG without TensorFlow, numpy's arrays do not.
                    grey = image.shape[-1] == 1
                    picture = Image.fromarray(image[..., 0] if grey else image)
                    example = {"image": picture, "label": label}
                    if "id" in self.info.features:
                        example["id"] = f"{split}_{index:05d}"
                    yield index, example

    Local.name = official.name
    return Local


def _read(name: str, entry: Row, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Images and labels of each split, and the labels' names where the files have some."""
    if name == "cifar10":
        return {split: cifar.read_split(folder, split) for split in entry.sizes}, (
            cifar.read_names(folder)
        )
    classes = 37 if name == "emnist/letters" else 10
    return {
        split: idx.read_split(name, folder, split, count, classes)
        for split, count in entry.sizes.items()
    }, []
