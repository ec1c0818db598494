"""`vae.fit`: from data to a trained model in one call."""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vae import config as configs
from vae import config_files, in_memory, npz
from vae.data import identity
from vae.errors import UserError
from vae.evaluation.trained import Trained, load
from vae.keys import KEYS


def fit(
    x: Any,
    labels: Any = None,
    config: ConfigDict | str | None = None,
    workdir: str | Path | None = None,
    **changes: Any,
) -> Trained:
    """See `vae.fit`."""
    if isinstance(config, str):
        config = config_files.load(config)
    chosen = configs.with_values(config or configs.default(), _by_key(changes))
    return load(trained(chosen, x, labels, workdir))


def trained(config: ConfigDict, x: Any, labels: Any, workdir: str | Path | None) -> str:
    """Trains a config on data that are given; returns the run directory. See `vae.fit`."""
    from vae.training.train import train

    with tempfile.TemporaryDirectory() as folder:
        path, label = in_memory.written(x, labels, Path(folder))
        values = {"data.name": "files"} | ({"data.label": label} if label else {})
        if workdir is None:
            workdir = Path("runs") / _name(configs.with_values(config, values), path)
        if path.parent == Path(folder):
            path = _moved(path, Path(workdir))
    config = configs.with_values(config, values | {"data.path": str(path)})
    return train(config, str(workdir), extend=True)


def _moved(path: Path, workdir: Path) -> Path:
    """The data in the run's directory.

    Raises:
      UserError: a run there has others.
    """
    target = workdir / path.name
    workdir.mkdir(parents=True, exist_ok=True)
    begun = (workdir / "config.json").exists()
    if begun and not (target.exists() and identity.of_file(target) == identity.of_file(path)):
        raise UserError(f"{workdir} holds a run of other data: give another workdir")
    if not begun:
        with npz.replacing(target) as temporary:
            shutil.copyfile(path, temporary)
    return target


def _name(config: ConfigDict, path: Path) -> str:
    """The same data and config always get the same directory."""
    values = {k: v for k, v in configs.flatten(config) if k != "data.path"}
    text = f"{sorted(values.items())!r} {identity.of_file(path) if path.is_file() else path}"
    return f"fit-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _by_key(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes by dotted keys: of `group__name`, or of a name that one group alone has."""
    found = {}
    for name, value in changes.items():
        dotted = name.replace("__", ".")
        fits = [key for key in KEYS if key == dotted or key.endswith(f".{name}")]
        if len(fits) > 1:
            several = ", ".join(key.replace(".", "__") for key in fits)
            raise UserError(f"{name}: say which, {several}")
        found[fits[0] if fits else dotted] = value
    return found
