"""Parts from outside the package: what a config names as `package.module:name`.

A key that takes a part by its name takes one of these too: an encoder, an objective, a prior, a
data set, a group of metrics. A part declares keys of its own in an attribute `keys`, a mapping from
names to `vae.keys.Key`; they join the group of the key that names the part. A run records where its
parts came from, and says so where they have changed since.
"""

import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from vae.errors import UserError

TFDS = "tfds:"  # before the name of a data set, where `data.name` is no part from outside


def is_outside(name: Any) -> bool:
    """Whether a value names a part from outside the package."""
    return isinstance(name, str) and ":" in name and not name.startswith(TFDS)


def outside(name: str, key: str) -> Any:
    """The part that `package.module:name` is; modules are also looked for in the current folder.

    Args:
      key: what the name was given as, for the message.

    Raises:
      UserError: it cannot be imported, or is not there.
    """
    module, _, path = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found = importlib.import_module(module)
    except Exception as error:  # a user's module may fail in any way
        raise UserError(
            f"{key}={name!r}: {module} cannot be imported ({error!r}); install it, or put its "
            "folder on PYTHONPATH"
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise UserError(f"{key}={name!r}: {module} has no {path}")
        found = getattr(found, part)
    return found


def origins(names: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Of each part from outside, by its key: its name, version and a hash of its source."""
    return {
        key: {"name": name, "version": _version(_top(name)), "source": _source(_top(name))}
        for key, name in names.items()
    }


def changed(before: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """What says of each part that it is not what it was: a line each.

    Args:
      before: what `origins` gave then.
      names: of the parts, by their keys.
    """
    said = []
    for key, now in origins(names).items():
        then = before.get(key, now)
        if then["source"] != now["source"]:
            versions = f" ({then['version']} -> {now['version']})"
            told = versions if then["version"] != now["version"] else ""
            said.append(f"{key}={now['name']}: {_top(now['name'])} has changed since{told}")
    return said


def _top(name: str) -> str:
    return name.partition(":")[0].partition(".")[0]


@functools.cache
def _source(package: str) -> str:
    """A hash of every file of a package, or of a module alone."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return ""
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    if not folders and spec.origin:
        files = [Path(spec.origin)]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return str(getattr(sys.modules.get(package), "__version__", ""))
