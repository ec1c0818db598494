"""Configs of the keys of `vae.keys`: made, checked before anything is compiled, and compared."""

import hashlib
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict, FieldReference

from vae.choices import nearest, shown
from vae.errors import UserError
from vae.keys import GROUPS, KEYS, NEUTRAL, RAMPS, Key

FLAG_OR_TEXT = bool | str  # what a key holds that is True, False or a word


def default() -> ConfigDict:
    """Every key at its default."""
    config = ConfigDict({name: key.default for name, key in KEYS.items() if "." not in name})
    for group in filter(None, GROUPS):
        config[group] = {name: _held(key) for name, key in GROUPS[group].items()}
    return config.lock()


def _held(key: Key) -> Any:
    """A key's default, such that its place also takes True and False where the rule does."""
    if isinstance(key.default, str) and key.rule(True) is None:
        return FieldReference(key.default, field_type=FLAG_OR_TEXT)
    return key.default


def flatten(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields (dotted key, value) of nested mappings, in key order of the mapping."""
    for name, value in values.items():
        if hasattr(value, "items"):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def check(config: ConfigDict) -> None:
    """Checks every key and how keys fit together, without loading data.

    Raises:
      UserError: an unknown or missing key, a wrong type or value, a schedule that this run is too
        short for.
    """
    found = dict(flatten(config))
    check_keys(found)
    for key, declared in KEYS.items():
        expected = declared.rule(found[key])
        if expected:
            raise UserError(f"{key}={shown(found[key])} should be {expected}")
    _check_schedules(config)


def check_keys(found: Collection[str]) -> None:
    """Raises UserError where a dotted key is unknown, or one is missing."""
    strange = unknown(found)
    if strange is not None:
        raise UserError(f"config has no key {strange!r}{nearest(strange, KEYS)}")
    for key in KEYS:
        if key not in found:
            raise UserError(f"config lacks the key {key!r}: start from configs/base.py")


def _check_schedules(config: ConfigDict) -> None:
    epochs = config.train.epochs
    if config.objective.beta_schedule != "constant" and config.objective.beta_epochs == 0.0:
        raise UserError(
            f"objective.beta_schedule={config.objective.beta_schedule!r} needs a length: "
            "set objective.beta_epochs"
        )
    if config.objective.beta_schedule == "constant" and config.objective.beta_epochs > 0.0:
        raise UserError(
            "objective.beta_epochs is set but objective.beta_schedule='constant' ignores it: "
            "choose linear or cyclical, or set it to 0.0"
        )
    for key in RAMPS:
        group, name = key.split(".")
        if config[group][name] > epochs:
            raise UserError(
                f"{key}={config[group][name]:g} never reaches its target in train.epochs={epochs}: "
                "train longer or shorten it"
            )


def to_json(config: ConfigDict) -> str:
    """The resolved config as JSON text, keys in their own order."""
    return json.dumps(config.to_dict(), indent=2) + "\n"


def from_json(text: str) -> ConfigDict:
    """The inverse of `to_json`; lists become tuples again.

    Raises:
      ValueError: the text is not a config's.
    """

    def tuples(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: tuples(item) for key, item in value.items()}
        return tuple(value) if isinstance(value, list) else value

    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not a mapping of keys to values")
    return ConfigDict(tuples(found)).lock()


def unknown(found: Collection[str] | ConfigDict) -> str | None:
    """The first dotted key that is declared nowhere."""
    dotted = dict(flatten(found)) if isinstance(found, ConfigDict) else found
    return next((key for key in dotted if key not in KEYS), None)


def completed(config: ConfigDict) -> ConfigDict:
    """The config of a run that may be older than some keys, which get what it was without them.

    Raises:
      UserError: it lacks a whole group of keys: it is no config.
    """
    found = config.to_dict()
    for group, keys in GROUPS.items():
        part = found.get(group) if group else found
        if not isinstance(part, dict) or not any(name in part for name in keys):
            lacking = f"group {group!r}" if group else f"key {next(iter(keys))!r}"
            raise UserError(f"config lacks the {lacking}: it is no run's")
        for name, key in keys.items():
            part.setdefault(name, key.before)
    return ConfigDict(found).lock()


def difference(ours: ConfigDict, theirs: ConfigDict, neutral: bool = False) -> list[str]:
    """Lines `key: theirs -> ours` for keys that differ; those of NEUTRAL only if asked for."""
    left, right = dict(flatten(theirs)), dict(flatten(ours))
    keys = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    return [
        f"{key}: {left.get(key)!r} -> {right.get(key)!r}"
        for key in keys
        if neutral or not key.startswith(NEUTRAL)
    ]


def run_name(config: ConfigDict) -> str:
    """A run directory's name: the same config always gets the same one."""
    values = {k: v for k, v in flatten(config) if not k.startswith(NEUTRAL)}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
    source = Path(config.data.path).stem if config.data.name == "files" else config.data.name
    return f"{source}-{config.model.encoder}-z{config.model.latent_size}-s{config.seed}-{digest}"
