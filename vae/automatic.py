"""Keys of a config that are left to the data, settled before anything is written or compared.

The one place where `auto` ends: training, sweeps and searches get their configs from here, so that
a run's config.json, its comparison, its name and its programs know concrete values alone.
"""

import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vae import config as configs
from vae.choices import choose
from vae.data import files, fitting, loading
from vae.errors import UserError
from vae.keys import AUTO, KEYS, LEFT


def resolved(config: ConfigDict, workdir: Path | str | None = None) -> ConfigDict:
    """A copy of a config in which nothing is left to the data; see `opened`."""
    adopted, _ = _adopted(config, workdir)
    if not loading.is_own(config.data.name) and AUTO not in _values(adopted).values():
        return adopted
    return opened(config, workdir)[0]


def opened(
    config: ConfigDict, workdir: Path | str | None = None
) -> tuple[ConfigDict, loading.Opened]:
    """A copy of a config in which nothing is left to the data, and the data as they were looked at.

    Args:
      workdir: of the run or the sweep: where it has begun, what was left to the data is as then.

    Raises:
      UserError: the data are not there, or a likelihood has another name.
    """
    config, begun = _adopted(config, workdir)
    source = loading.opened(config.data)
    chosen, kinds = config.model.likelihood, ()
    if chosen != AUTO:
        from vae.probability import likelihoods

        kinds = choose(likelihoods, chosen, "model.likelihood").kinds
    found = fitting.settled(config.data, source.facts, chosen, kinds)
    if begun:
        del found["kind"]
    by_name = {key.partition(".")[2]: key for key in LEFT}
    values = {by_name[name]: value for name, value in found.items()}
    if source.found:
        values["train.batch_size"] = _batch_size(config, source.found)
    return _with(config, values), source


def _batch_size(config: ConfigDict, found: files.Found) -> int:
    """Of the user's own data: the config's, but for the default where fewer examples train."""
    asked = config.train.batch_size
    if asked != KEYS["train.batch_size"].default or found.misfits:
        return asked
    parts = loading.divided(config.data, {split: len(x) for split, (x, *_) in found.arrays.items()})
    training = len(parts["train"][1])
    if asked <= training:
        return asked
    quarter = training // 4
    return max(1, quarter - quarter % 8 if quarter > 8 else quarter)


def _adopted(config: ConfigDict, workdir: Path | str | None) -> tuple[ConfigDict, bool]:
    """A copy of a config with the values of what has begun in a directory, where it leaves some,
    and whether anything has."""
    before = _begun(Path(workdir)) if workdir else {}
    left = {key for key, value in _values(config).items() if value == KEYS[key].default}
    return _with(config, {key: before[key] for key in left & set(before)}), bool(before)


def _begun(workdir: Path) -> dict[str, Any]:
    """Values that the config of a run or of a sweep has; {} where there is none to be read."""
    for name in ("config.json", "sweep.json"):
        try:
            found = json.loads((workdir / name).read_text())
            config = ConfigDict(found if name == "config.json" else found["config"])
            return _values(configs.completed(config))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError):
            continue  # who needs it says what is wrong with it
    return {}


def _values(config: ConfigDict) -> dict[str, Any]:
    found = dict(configs.flatten(config))
    return {key: found[key] for key in LEFT}


def _with(config: ConfigDict, values: dict[str, Any]) -> ConfigDict:
    changed = ConfigDict(config.to_dict())
    with changed.ignore_type():
        for key, value in values.items():
            group, name = key.split(".")
            changed[group][name] = value
    return changed.lock()
