"""What `--config` names: a shipped config, a Python file with a get_config(), or a run.

A Python file is the user's program. Whatever it does, this module returns a config or a sweep, or
raises a UserError of one line that names the file and its line.
"""

import importlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from vae import config as configs
from vae import keys
from vae.choices import nearest
from vae.errors import UserError

ABSENT = object()
PARTS = {key for key, declared in keys.KEYS.items() if declared.part}


def load(text: str, parts: Mapping[str, Any] | None = None) -> ConfigDict:
    """The config of FILE or of a shipped NAME, or of either with :ARGUMENT, which goes to its
    get_config(); or of a run.

    Args:
      parts: values of keys that choose a part by its name, to be set before anything is checked:
        a part from outside brings keys of its own.

    Returns:
      The config, locked: all keys are there and no others. Values are not yet checked.

    Raises:
      UserError: it cannot be read, or is no config.
    """
    path, arguments = located(text)
    if path.suffix == ".json":
        try:
            found = configs.completed(configs.from_json(path.read_text()))
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"--config={text} is not a run's config ({error})") from None
    else:
        found = call(path, "get_config", arguments)
        if found is ABSENT:
            raise UserError(f"--config={text} has no get_config()")
        if not isinstance(found, Mapping | ConfigDict):
            kind = "None" if found is None else f"a value of type {type(found).__name__}"
            raise UserError(f"get_config() of {path} returned {kind}: it returns a ConfigDict")
    try:
        found = ConfigDict(found).unlock()
        for key, value in (parts or {}).items():
            found.update_from_flattened_dict({key: value})
        known = keys.known({key: _value(found, key) for key in dotted(found) if key in PARTS})
        for key in known.keys() - set(dotted(found)) - keys.KEYS.keys():
            group, _, name = key.rpartition(".")
            found[group][name] = known[key].default
        configs.check_keys(list(dotted(found)), known)
        return found.lock()
    except UserError as error:
        raise UserError(f"--config={text}: {error}") from None
    except Exception as error:  # a key that is no text, a group in itself, a value not to be had
        raise UserError(f"--config={text} is no config ({said(error)})") from None


def dotted(config: ConfigDict, prefix: str = "") -> Iterator[str]:
    """Dotted keys, without asking for values."""
    for name, value in config.items(preserve_field_references=True):
        if isinstance(value, ConfigDict):
            yield from dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _value(config: ConfigDict, key: str) -> Any:
    """The value under a dotted key; None where it cannot be had."""
    try:
        return dict(configs.flatten(config.get(key.partition(".")[0]))).get(key.partition(".")[2])
    except Exception:  # said when all values are read
        return None


def readable(config: ConfigDict, text: str) -> None:
    """Raises UserError where reading a value fails, as a reference to other keys may."""
    try:
        dict(configs.flatten(config))
    except Exception as error:
        raise UserError(f"--config={text} has a value that cannot be had: {said(error)}") from None


def get_sweep(text: str) -> Any:
    """What get_sweep() of a config file returns; an empty list where it has none."""
    path, _ = located(text)
    found = ABSENT if path.suffix == ".json" else call(path, "get_sweep")
    return [] if found is ABSENT else found


def located(text: str) -> tuple[Path, list[str]]:
    """The file that `--config` names, and the arguments of its get_config().

    Raises:
      UserError: there is no such file.
    """
    path, colon, argument = Path(text), "", ""
    if not path.exists():
        name, colon, argument = text.partition(":")
        path = Path(name)
    if (path / "config.json").is_file():
        path = path / "config.json"
    if not path.exists() and name_of(path) in shipped():
        path = shipped()[name_of(path)]
    if not path.exists():
        known = shipped()
        raise UserError(
            f"--config={path}: there is no such file, and the shipped configs are "
            f"{', '.join(known)}{nearest(name_of(path), known)}"
        )
    if not path.is_file():
        kind = "a folder, and no run's" if path.is_dir() else "not an ordinary file"
        raise UserError(f"--config={path} is {kind}")
    if colon and path.suffix == ".json":
        raise UserError(f"--config={text}: a run's config takes no argument")
    return path, [argument] if colon else []


def shipped() -> dict[str, Path]:
    """The configs that come with the package, by name."""
    folders = importlib.import_module("vae.configs").__path__
    paths = (path for folder in folders for path in Path(folder).glob("[a-z]*.py"))
    return {path.stem: path for path in sorted(paths)}


def name_of(path: Path) -> str:
    """The name that a shipped config would have: of `mnist`, and of `configs/mnist.py`."""
    return path.stem if path.suffix == ".py" and path.parent.name == "configs" else str(path)


def call(path: Path, name: str, arguments: Any = ()) -> Any:
    """Runs a Python file and returns what its function returns; ABSENT where it has none.

    Raises:
      UserError: the file, or the function, raises or exits.
    """
    module = ModuleType("config_config")  # as config_flags names it
    module.__file__ = str(path)
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
        function: Any = getattr(module, name, ABSENT)
        return ABSENT if function is ABSENT else function(*arguments)
    except SystemExit as error:
        raise UserError(f"{where(path, error)} calls sys.exit({error.code!r})") from error
    except Exception as error:
        raise UserError(f"{where(path, error)}: {said(error)}") from error
    finally:
        if before is None:
            sys.modules.pop(module.__name__, None)
        else:
            sys.modules[module.__name__] = before


def where(path: Path, error: BaseException) -> str:
    """The file, and the last line of it that the error went through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == str(path)]  # fmt: skip
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines = [error.lineno]
    return f"{path}, line {lines[-1]}" if lines and lines[-1] else str(path)


def said(error: BaseException) -> str:
    """An exception in one line, even where its own text raises."""
    if isinstance(error, UserError):
        return str(error)
    lines = traceback.format_exception_only(error)[-1].strip().splitlines()
    return lines[0] if lines else type(error).__name__
