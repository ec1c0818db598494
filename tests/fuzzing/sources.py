"""Data of a case: arrays of every kind, with labels or a context, in files of every form."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from PIL import Image
from pyarrow import parquet

from vae import columns

KINDS = ("binary", "grey", "real", "counts", "tokens", "columns")
CLASSES = 3
IDS = 5
TABLES = ("csv", "parquet")
GAUSSIANS = ("diagonal", "full_covariance")


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Random choices, a generator's."""

    rng: np.random.Generator

    def pick(self, *options: Any) -> Any:
        return options[self.rng.integers(len(options))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)


@dataclasses.dataclass(frozen=True)
class Source:
    """What a case is trained on."""

    kind: str
    shape: tuple[int, ...]  # of an example
    form: str  # npz, npy, csv, parquet, pictures; or "" for data that come with the package
    arrays: dict[str, np.ndarray]
    settings: dict[str, Any]
    training: int  # examples, as far as the settings leave them
    testing: int

    def write(self, folder: Path) -> Path | None:
        """Writes the file or the folder; returns its path."""
        path = folder / (f"data.{self.form}" if self.form != "pictures" else "data")
        x = self.arrays.get("x")
        if self.form == "npz":
            np.savez(path, **self.arrays)
        elif self.form == "npy":
            np.save(path, x)
        elif self.form in TABLES:
            names = [f"c{number}" for number in range(x.shape[1])]
            parts = [x, self.arrays["labels"][:, None]] if "labels" in self.arrays else [x]
            names += ["label"] * (len(parts) - 1)
            _write_table(path, names, np.hstack(parts))
        elif self.form == "pictures":
            path.mkdir()
            for number, image in enumerate(x):
                grey = image.shape[2:] == (1,)
                Image.fromarray(image[..., 0] if grey else image).save(path / f"{number}.png")
        return path if self.form else None


def _write_table(path: Path, names: list[str], x: np.ndarray) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.table(dict(zip(names, x.T, strict=True))), path)
        return
    rows = [",".join(map(repr, row)) for row in x.tolist()]
    path.write_text("\n".join([",".join(names), *rows]) + "\n")


def draw(d: Drawing) -> Source:
    """Data that are small, of any kind, form and shape."""
    if d.chance(0.05):
        settings = {"data.name": "digits", "data.size": 40, "data.context": d.pick("", "labels")}
        return Source("grey", (8, 8, 1), "", {}, settings, 30, 7)
    kind, count = d.pick(*KINDS), d.pick(20, 30, 45)
    shape = _shape(d, kind)
    form = _form(d, kind, shape)
    arrays = {"x": _values(d, kind, (count, *shape))}
    settings: dict[str, Any] = {"data.name": "files"}
    if kind in ("counts", "tokens") or d.chance(0.2):
        settings["data.kind"] = kind
    if kind == "columns" and d.chance(0.3):
        name = "c0" if form in TABLES else "0"
        settings["data.columns"] = f"{name}:{d.pick(*columns.KINDS)}"
    if form == "pictures":
        settings["data.kind"] = d.pick("", "grey")
    if form in ("npz", *TABLES) and d.chance(0.5):
        classes = d.pick(1, 2, CLASSES, CLASSES)
        arrays["labels"] = np.arange(count) % classes
        if form in TABLES:
            settings["data.label"] = d.pick("", "label")
    if form == "npz" and d.chance(0.3):
        arrays["context"] = d.rng.normal(size=(count, d.pick(1, 2)))
    if "context" in arrays:
        settings["data.context"] = d.pick("", "array", "scaled")
    if "labels" in arrays and d.chance(0.4):
        settings["data.context"] = "labels"
    if form == "npz" and d.chance(0.2):
        arrays = _splits(arrays, count)
        sizes = len(arrays["train"]), len(arrays["test"])
    else:
        sizes = count - 2 * (count // 10), count // 10
    return Source(kind, shape, form, arrays, settings, *sizes)


def suits(group: str, source: Source, settings: dict[str, Any]) -> bool:
    """Whether a group of metrics can be measured of such data."""
    labels = next((a for name, a in source.arrays.items() if name.endswith("labels")), None)
    context = settings.get("data.context")
    quantised = settings["model.name"] == "vqvae"
    posterior = settings.get("model.posterior", "diagonal")
    moved = not quantised and posterior != "von_mises_fisher"  # z, by gradients
    return {
        "ais": moved,
        "bdmc": moved,
        "gaps": settings["model.name"] == "vae" and posterior in GAUSSIANS,
        "disentanglement": False,
        "molecules": False,
        "probes": (labels is not None or not source.form) and not context,
        "anomaly": labels is not None and set(labels.tolist()) == {0, 1},
        "recommendation": settings["model.likelihood"] == "multinomial" and not context,
        "aggregate": not context,
        "samples": source.testing > 10 and source.kind != "columns",
        "table": False,  # too few rows
        "imputation": bool(settings.get("data.missing")),
        "code": not context and posterior == "diagonal" and _coded(settings),
        "reconstructions": source.kind in ("binary", "grey") and len(source.shape) > 1,
    }.get(group, not quantised)


def _coded(settings: dict[str, Any]) -> bool:
    """Whether a file can be made of what a model says: latents of N(0, I), values of a finite
    set."""
    finite = ("bernoulli", "categorical", "categorical_tokens", "discretized_logistic")
    return (
        settings["model.name"] == "vae"
        and settings.get("model.prior", "normal") == "normal"
        and settings.get("model.decoder", "mlp") in ("mlp", "conv", "resnet")
        and settings["model.likelihood"] in (*finite, "discretized_logistic_mixture")
    )


def _shape(d: Drawing, kind: str) -> tuple[int, ...]:
    if kind in ("counts", "tokens", "columns") or d.chance(0.4):
        return (d.pick(1, 2, 4, 7),)
    height, width = d.pick(1, 2, 4, 5), d.pick(1, 3, 4, 6)
    return (height, width, d.pick(1, 1, 3)) if d.chance(0.7) else (height, width)


def _form(d: Drawing, kind: str, shape: tuple[int, ...]) -> str:
    if kind == "grey" and len(shape) > 1 and d.chance(0.2):
        return "pictures"
    if len(shape) == 1 and kind != "tokens" and d.chance(0.2):
        return d.pick(*TABLES)
    return d.pick("npz", "npz", "npz", "npy")


def _values(d: Drawing, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    if kind == "binary":
        return d.rng.integers(0, 2, shape).astype(np.uint8)
    if kind == "grey":
        x = d.rng.integers(0, 256, shape).astype(np.uint8)
        x.flat[0] = 255  # not all of them zeros and ones
        return x
    if kind == "real":
        x = d.rng.normal(size=shape) * d.pick(0.1, 1.0, 1.0, 30.0) + d.pick(0.0, 0.0, 10.0)
        return x.astype(d.pick(np.float32, np.float64))
    if kind == "counts":
        return d.rng.poisson(d.pick(0.3, 2.0, 300.0), shape)
    if kind == "columns":
        ways = (lambda n: d.rng.normal(size=n), lambda n: d.rng.poisson(3.0, n) * 3.0,
                lambda n: np.exp(3.0 * d.rng.normal(size=n)), lambda n: d.rng.integers(0, 2, n),
                lambda n: np.full(n, 7.0))  # fmt: skip
        x = np.stack([np.asarray(d.pick(*ways)(shape[0]), float) for _ in range(shape[1])], 1)
        x[d.rng.random(shape) < d.pick(0.0, 0.1, 0.9)] = np.nan
        return x
    return d.rng.integers(0, d.pick(1, 2, IDS), shape)


def _splits(arrays: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """The same as splits of the user's own, the validation set of one example."""
    last = count // 2
    parts = {"train": slice(0, last), "validation": slice(last, last + 1),
             "test": slice(last + 1, count)}  # fmt: skip
    return {
        part if name == "x" else f"{part}_{name}": array[rows]
        for part, rows in parts.items()
        for name, array in arrays.items()
    }
