"""Configs of the keys of `vae.keys`: made, checked before anything is compiled, and compared."""

import copy
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict, FieldReference

from vae import keys
from vae.choices import nearest, shown
from vae.errors import UserError
from vae.keys import GROUPS, KEYS, NEUTRAL, RAMPS, Key

FLAG_OR_TEXT = bool | str  # what a key holds that is True, False or a word


def default(values: Mapping[str, Any] | None = None) -> ConfigDict:
    """Every key at its default, but for values of dotted keys; parts from outside bring theirs."""
    config = ConfigDict({name: key.default for name, key in KEYS.items() if "." not in name})
    for group in filter(None, GROUPS):
        config[group] = {name: _held(key) for name, key in GROUPS[group].items()}
    return with_values(config.lock(), values or {})


def with_values(config: ConfigDict, values: Mapping[str, Any]) -> ConfigDict:
    """The config with values of dotted keys; the keys of parts from outside that it names are
    added, at their defaults.

    Raises:
      UserError: there is no such key, or it is of another type.
    """
    found = copy.deepcopy(config).unlock()  # whose places take what those of `config` do
    for key, value in values.items():
        if key in KEYS:
            _set(found, key, value)
    declared = keys.known(dict(flatten(found)))
    for key, each in declared.items():
        group, _, name = key.rpartition(".")
        if name not in (found[group] if group else found):
            found[group][name] = each.default
    for key, value in values.items():
        if key not in declared:
            raise UserError(f"config has no key {key!r}{nearest(key, declared)}")
        _set(found, key, value)
    return found.lock()


def _set(config: ConfigDict, key: str, value: Any) -> None:
    try:
        config.update_from_flattened_dict({key: value})
    except TypeError as error:
        raise UserError(f"{key}={shown(value)}: {error}") from None


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


def outside(config: ConfigDict) -> dict[str, str]:
    """The parts from outside that a config names, by key."""
    return keys.outside(dict(flatten(config)))


def check(config: ConfigDict) -> None:
    """Checks every key and how keys fit together, without loading data.

    Raises:
      UserError: an unknown or missing key, a wrong type or value, a schedule that this run is too
        short for.
    """
    found = dict(flatten(config))
    known = keys.known(found)
    check_keys(found, known)
    for key, declared in known.items():
        expected = declared.rule(found[key])
        if expected:
            raise UserError(f"{key}={shown(found[key])} should be {expected}")
    _check_schedules(config)


def check_keys(found: Collection[str], known: Mapping[str, Key]) -> None:
    """Raises UserError where a dotted key is not known, or a known one is missing."""
    strange = next((key for key in found if key not in known), None)
    if strange is not None:
        raise UserError(f"config has no key {strange!r}{nearest(strange, known)}")
    for key in known:
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


def unknown(config: ConfigDict) -> str | None:
    """The first dotted key that is declared nowhere."""
    found = dict(flatten(config))
    known = keys.known(found)
    return next((key for key in found if key not in known), None)


def completed(config: ConfigDict) -> ConfigDict:
    """The config of a run that may be older than some keys, which get what it was without them.

    Raises:
      UserError: it lacks a whole group of keys: it is no config.
    """
    found = config.to_dict()
    for group, names in GROUPS.items():
        part = found.get(group) if group else found
        if not isinstance(part, dict) or not any(name in part for name in names):
            lacking = f"group {group!r}" if group else f"key {next(iter(names))!r}"
            raise UserError(f"config lacks the {lacking}: it is no run's")
    for dotted, key in keys.known(dict(flatten(found))).items():
        group, _, name = dotted.rpartition(".")
        (found[group] if group else found).setdefault(name, key.before)
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
    source = source.replace(":", ".")
    return f"{source}-{config.model.encoder}-z{config.model.latent_size}-s{config.seed}-{digest}"
