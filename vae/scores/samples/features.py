"""Extractors of features, trained here on the data at hand: a classifier's last layer but one or,
where there are no labels, principal components. A folder keeps one.

Distances depend on the extractor, so every result names it.
"""

import dataclasses
import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vae import npz
from vae.choices import choose
from vae.errors import RunError, UserError

WIDTH = 128  # features of a classifier
BATCH = 1000  # examples that a device holds at a time
FILES = ("extractor.json", "weights.npz")


@dataclasses.dataclass(frozen=True)
class Extractor:
    """`features(x)` of examples x [N, *shape], under a name.

    Args:
      name: in words, as in "classifier of mnist, 5 epochs, seed 0".
      apply: x [N, *shape] -> [N, D].
      classify: x -> labels [N]; None: it knows no classes.
      settings, arrays: what `save` writes and `load` makes an extractor of; None: nothing can.
    """

    name: str
    apply: Callable[[np.ndarray], np.ndarray]
    classify: Callable[[np.ndarray], np.ndarray] | None = None
    settings: Mapping[str, Any] | None = None
    arrays: Mapping[str, np.ndarray] | None = dataclasses.field(default=None, repr=False)

    def features(self, x: np.ndarray) -> np.ndarray:
        """Features [N, D] of examples x [N, *shape].

        Raises:
          UserError: x has another shape than what was learnt from, or a user's function returns no
            features.
          RunError: features are not finite.
        """
        self._check(x)
        found = np.asarray(self.apply(x))
        if found.ndim != 2 or len(found) != len(x) or found.dtype.kind not in "fiub":
            raise UserError(
                f"{self.name} gives {found.dtype} of shape {found.shape} for {len(x)} examples: "
                f"it should give numbers [{len(x)}, D]"
            )
        wrong = np.flatnonzero(~np.isfinite(found).all(1))
        if len(wrong):
            raise RunError(
                f"{self.name}: features are not finite for {len(wrong)} of {len(x)} examples "
                f"(first: number {wrong[0]})"
            )
        return found

    def labels(self, x: np.ndarray) -> np.ndarray:
        """The most probable class [N] of examples x [N, *shape]."""
        if self.classify is None:
            raise UserError(f"{self.name} knows no classes: use a classifier")
        self._check(x)
        return self.classify(x)

    def error(self, x: np.ndarray, labels: np.ndarray) -> float:
        """Share of examples x [N, *shape] whose class is not `labels` [N]."""
        return float((self.labels(x) != np.asarray(labels)).mean())

    def save(self, folder: str | os.PathLike) -> None:
        """Writes `weights.npz` and `extractor.json` to a folder, each whole or not at all."""
        if self.settings is None:
            raise UserError(f"{self.name} cannot be saved: it is not of this project")
        folder, content = Path(folder), io.BytesIO()
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = dict(self.arrays or {})
        np.savez(content, **arrays)
        weights = content.getvalue()
        # The digest tells the weights of this extractor from those of one that was here before.
        described = {"name": self.name, **self.settings, "weights": _digest(weights)}
        _write(folder / FILES[1], weights)
        _write(folder / FILES[0], (json.dumps(described, indent=2) + "\n").encode())

    def _check(self, x: np.ndarray) -> None:
        if self.settings is not None and tuple(self.settings["shape"]) != tuple(x.shape[1:]):
            raise UserError(
                f"{self.name} is of examples of shape {tuple(self.settings['shape'])}, and these "
                f"have {tuple(x.shape[1:])}: train another"
            )


def load(folder: str | os.PathLike) -> Extractor:
    """The extractor that `Extractor.save` wrote.

    Raises:
      UserError: a file is missing or damaged.
    """
    folder = Path(folder)
    try:
        settings = json.loads((folder / FILES[0]).read_text())
        weights = (folder / FILES[1]).read_bytes()
        name, digest = settings.pop("name"), settings.pop("weights")
        kind = settings["kind"]
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} does not exist: {folder} holds no extractor") from None
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{folder / FILES[0]} is damaged ({error!r}): train it again") from None
    if _digest(weights) != digest:
        raise UserError(f"{folder / FILES[1]} is not of {FILES[0]} beside it: train it again")
    with np.load(io.BytesIO(weights)) as saved:
        arrays = dict(saved)
    return choose(KINDS, kind, "kind")(name, settings, arrays)


def train_extractor(
    x: np.ndarray, labels: np.ndarray | None = None, seed: int = 0, of: str = "the data", **more
) -> Extractor:
    """`train_classifier` where there are labels, `fit_components` where there are none; `more` are
    keyword arguments of the one it is."""
    if labels is None:
        return fit_components(x, seed, of=of, **more)
    return train_classifier(x, labels, seed, of=of, **more)


def train_classifier(
    x: np.ndarray,
    labels: np.ndarray,
    seed: int = 0,
    of: str = "the data",
    epochs: int = 5,
    batch: int = 256,
    rate: float = 2e-3,
    width: int = WIDTH,
) -> Extractor:
    """A small network that tells classes apart, by Adam; its features are what its last layer sees.

    Args:
      x: training examples [N, *shape], on the scale of all examples that features will be of: each
        channel, or each number of a vector, is standardised by these examples' moments.
      labels: ints from 0, [N].
      seed: of the weights and of the order of examples; one machine gives the same weights twice.
      of: what the examples are, for the name.
      width: number of features.

    Raises:
      UserError: labels and examples do not go together.
      RunError: weights that are not finite.
    """
    from flax.traverse_util import flatten_dict

    from vae.scores.samples import network

    labels = np.asarray(labels)
    if labels.shape != (len(x),) or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise UserError(
            f"labels of type {labels.dtype} and shape {labels.shape} do not go with {len(x):,} "
            "examples: give a whole number from 0 for each"
        )
    if len(np.unique(labels)) < 2:
        raise UserError("all labels are the same: there is nothing to tell apart")
    x = np.asarray(x)
    axes = tuple(range(x.ndim - 1))
    mean, std = x.mean(axes, np.float64), x.std(axes, np.float64)
    std[std <= 1e-7 * np.abs(mean)] = 1.0  # what never varies, but for rounding
    shape, classes = x.shape[1:], int(labels.max()) + 1
    seen = ((x - mean.astype(np.float32)) / std.astype(np.float32)).astype(np.float32)
    params = network.fit(
        network.Network(shape, classes, width), seen, labels, seed, epochs, batch, rate
    )
    arrays = {"mean": mean, "std": std, **flatten_dict(params, sep="/")}
    name = f"classifier of {of}, {epochs} epochs, seed {seed}"
    settings = {"kind": "classifier", "shape": list(shape), "classes": classes, "width": width}
    return _classifier(name, settings, arrays)


def fit_components(
    x: np.ndarray, seed: int = 0, of: str = "the data", components: int = 64
) -> Extractor:
    """Principal components of training examples x [N, *shape], for data without labels.

    Fewer than `components` where there are fewer numbers or examples. They keep the units of x.
    """
    from sklearn.decomposition import PCA

    x = np.asarray(x)
    flat = x.reshape(len(x), -1).astype(np.float32)
    components = min(components, *flat.shape)
    found = PCA(components, random_state=seed % 2**32).fit(flat)
    name = f"principal components of {of}, without labels"
    settings = {"kind": "components", "shape": list(x.shape[1:])}
    return _components(name, settings, {"mean": found.mean_, "axes": found.components_})


def _classifier(name: str, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Extractor:
    import jax
    from flax.traverse_util import unflatten_dict

    from vae.estimators.batches import PerExample
    from vae.probability import noise
    from vae.scores.samples.network import Network

    network = Network(tuple(settings["shape"]), settings["classes"], settings["width"])
    params = {key: value for key, value in arrays.items() if key not in ("mean", "std")}
    params = unflatten_dict(params, sep="/")
    scale = {name: arrays[name].astype(np.float32) for name in ("mean", "std")}

    def both(variables: Any, x: jax.Array, keys: jax.Array) -> Any:
        params, scale = variables
        return network.apply(params, (x - scale["mean"]) / scale["std"])

    whole = PerExample(both)

    def run(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return whole((params, scale), x, noise.key_for(0, "evaluate"), BATCH)

    return Extractor(name, lambda x: run(x)[0], lambda x: run(x)[1].argmax(1), settings, arrays)


def is_classifier(extractor: Extractor) -> bool:
    """Whether it is a classifier of this project, which has `maps`."""
    return (extractor.settings or {}).get("kind") == "classifier"


def maps(extractor: Extractor) -> Callable[[Any], list[Any]]:
    """What a classifier's layers see of x [B, *shape], traceable: the outputs of its convolutions
    [B, h, w, F] and its features [B, D].

    Raises:
      UserError: it is no classifier of this project.
    """
    from flax.traverse_util import unflatten_dict

    from vae.networks.layers import Conv
    from vae.scores.samples.network import Network

    settings, arrays = dict(extractor.settings or {}), dict(extractor.arrays or {})
    if not is_classifier(extractor):
        raise UserError(f"{extractor.name} is no classifier of this project: train one on labels")
    network = Network(tuple(settings["shape"]), settings["classes"], settings["width"])
    mean, std = (arrays.pop(name).astype(np.float32) for name in ("mean", "std"))
    params = unflatten_dict(arrays, sep="/")

    def seen(x: Any) -> list[Any]:
        (features, _), kept = network.apply(
            params, (x - mean) / std, mutable=["intermediates"],
            capture_intermediates=lambda module, _: isinstance(module, Conv),
        )  # fmt: skip
        layers = kept.get("intermediates", {}).get("body", {})
        return [*(layers[name]["__call__"][0] for name in sorted(layers)), features]

    return seen


def _components(name: str, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Extractor:
    def apply(x: np.ndarray) -> np.ndarray:
        return (np.asarray(x).reshape(len(x), -1) - arrays["mean"]) @ arrays["axes"].T

    return Extractor(name, apply, None, settings, arrays)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes) -> None:
    with npz.replacing(path) as temporary:
        temporary.write_bytes(content)


KINDS = {"classifier": _classifier, "components": _components}
