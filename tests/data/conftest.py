"""Configs, and data sets in TFDS's format with the official features and contents made here."""

import dataclasses
from typing import Any

import ml_collections
import numpy as np
import pytest
from PIL import Image

from vae.data import table


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def config():
    """`config(name=..., ...)`: what `config.data` holds."""

    def make(**keys: Any) -> ml_collections.ConfigDict:
        defaults = dict(
            name="digits",
            dir="",
            path="",
            kind="",
            label="",
            id="none",
            binarization="none",
            validation_size=-1,
            split=0,
            size=0,
            standardize=False,
            columns="",
            covariates=(),
            left_out=-1,
            per_class=0,
            leave_items=False,
            missing=0.0,
            missingness="mcar",
            image_size=0,
            bits=0,
            stream=False,
            context="",
            labelled=0,
            labelled_share=0.1,
        )
        return ml_collections.ConfigDict({**defaults, **keys})

    return make


def _default(feature: Any) -> Any:
    """A value that TFDS encodes, for a feature that a test does not care about."""
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.FeaturesDict):
        return {key: _default(each) for key, each in feature.items()}
    if isinstance(feature, tfds.features.Image):
        return picture(np.zeros(feature.shape, np.uint8))
    return "" if isinstance(feature, tfds.features.Text) else 0


def picture(array: np.ndarray) -> Image.Image:
    """Pillow's image, which TFDS encodes without TensorFlow."""
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


@pytest.fixture
def write_tfds(tmp_path):
    """`write_tfds(name, {split: [example, ...]})` writes a data set and returns its data_dir."""

    def write(name: str, splits: dict[str, list[dict[str, Any]]]) -> str:
        import tensorflow_datasets as tfds

        row = table.ROWS[name]
        family, _, variant = row.tfds.partition("/")
        features = tfds.builder(row.tfds, data_dir=str(tmp_path / "none")).info.features

        def generate(examples):
            for index, example in enumerate(examples):
                filled = {key: _default(feature) for key, feature in features.items()}
                yield index, {**filled, **example}

        with tfds.core.registered.skip_registration():

            class Written(tfds.core.GeneratorBasedBuilder):
                VERSION = tfds.core.Version(row.version)
                BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=variant)] if variant else []

                def _info(self):
                    return tfds.core.DatasetInfo(
                        builder=self,
                        description="Made for a test.",
                        features=tfds.features.FeaturesDict(dict(features)),
                    )

                def _split_generators(self, dl_manager):
                    return {split: generate(examples) for split, examples in splits.items()}

                def _generate_examples(self):
                    raise AssertionError("the split generators generate")

        Written.name = family
        folder = tmp_path / "tfds"
        Written(data_dir=str(folder), file_format="array_record").download_and_prepare()
        return str(folder)

    return write


@pytest.fixture
def small_row(monkeypatch):
    """`small_row(name, sizes, ...)` puts a shrunken row into the table for one test."""

    def shrink(name: str, **changes: Any) -> None:
        monkeypatch.setitem(table.ROWS, name, dataclasses.replace(table.ROWS[name], **changes))

    return shrink
