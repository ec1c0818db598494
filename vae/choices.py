"""Choice by name: the names that a module exports are the valid values of a config key."""

import dataclasses
import difflib
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from vae import parts
from vae.errors import UserError


def shown(value: Any) -> str:
    """`repr(value)` for a message; also for a number of 10,000 digits, or an object whose repr
    fails."""
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns " (did you mean 'x'?)" for the name closest to `name`, or "" where none is close."""
    name = name if isinstance(name, str) else shown(name)
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def names(place: str) -> list[str]:
    """The names that a module exports: "module", or those of a table of it: "module:TABLE"."""
    module, _, table = place.partition(":")
    found = importlib.import_module(module)
    return _exported(getattr(found, table) if table else found)


def collect(package: str, names: dict[str, Any]) -> list[str]:
    """Puts what the modules of a package export by `__all__` among its names; returns these names.

    Args:
      names: the package's `globals()`.
    """
    found: dict[str, Any] = {}
    for entry in pkgutil.iter_modules(names["__path__"]):
        module = importlib.import_module(f"{package}.{entry.name}")
        found |= {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    names |= found
    return sorted(found)


def _exported(options: ModuleType | Mapping[str, Any]) -> list[str]:
    return sorted(options if isinstance(options, Mapping) else options.__all__)


def choose(options: ModuleType | Mapping[str, Any], name: str, key: str) -> Any:
    """Returns what `options` exports under `name`, or a part from outside (`vae.parts`).

    Args:
      options: a module, whose `__all__` lists the choices, or a mapping.
      name: the value found in the config.
      key: the config key it was found under, for the message.

    Raises:
      UserError: no such choice; the message lists them all.
    """
    if parts.is_outside(name):
        return parts.outside(name, key)
    known = _exported(options)
    if name not in known:
        raise UserError(
            f"{key}={shown(name)} is not one of: {', '.join(known)}{nearest(name, known)}"
        )
    return options[name] if isinstance(options, Mapping) else getattr(options, name)


def build(
    options: ModuleType | Mapping[str, Any], name: str, key: str, values: Mapping[str, Any]
) -> Any:
    """Builds the chosen dataclass or Flax module from those of `values` that it has fields for."""
    chosen = choose(options, name, key)
    names = {field.name for field in dataclasses.fields(chosen) if field.init}
    return chosen(**{name: value for name, value in values.items() if name in names})
