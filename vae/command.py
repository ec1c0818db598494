"""A command's flags: what a verb takes, how it is read, and how what goes wrong is said."""

import dataclasses
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from absl import flags, logging

from vae.choices import nearest
from vae.errors import RunError, UserError

ROOT = Path(__file__).resolve().parent.parent  # config files import `configs` from here
DEFINE = {
    bool: flags.DEFINE_boolean,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    tuple: flags.DEFINE_multi_string,
}


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag of a verb."""

    name: str
    help: str
    default: Any = None
    required: bool = False


@dataclasses.dataclass(frozen=True)
class Verb:
    """One verb: what it does, its flags, and the call that does it."""

    summary: str
    flags: tuple[Flag, ...]
    call: Callable[[Any], None]
    argument: str = ""  # a positional argument, by name
    rest: str = ""  # the flag that takes what follows it: --compare A B
    config: bool = False  # takes --config=FILE[:arg] and --config.a.b=value


def usage(verbs: Mapping[str, Verb]) -> str:
    """What `--help` prints."""
    lines = ["usage: python -m vae VERB [flags]      (or ./launch.sh VERB [flags])", ""]
    for name, verb in verbs.items():
        lines.append(f"  {_call(name, verb)}\n      {verb.summary}")
    lines += [
        "",
        "--debug shows the traceback of an error. VERB --help lists the flags of a verb.",
        "Exit codes: 0 done, 1 failed, 2 the command or the config is wrong.",
    ]
    return "\n".join(lines)


def _call(name: str, verb: Verb) -> str:
    parts = [name] + ([verb.argument.upper()] if verb.argument else [])
    if verb.config:
        parts.append("--config=FILE[:arg] [--config.a.b=value]")
    for flag in verb.flags:
        text = f"--{flag.name}" + f"={flag.name.upper()}" * (flag.default is not False)
        parts.append(text if flag.required else f"[{text}]")
    return " ".join(parts)


def verb_usage(name: str, verb: Verb) -> str:
    """What `VERB --help` prints."""
    lines = [f"usage: {_call(name, verb)}", "", f"  {verb.summary}", ""]
    if verb.config:
        lines.append("  --config        a file of configs/ or your own; ':arg' goes to get_config")
        lines.append("  --config.a.b    any key of the config; configs/base.py explains each")
    for flag in verb.flags:
        default = f" (default: {flag.default})" if flag.default not in (None, -1, (), False) else ""
        lines.append(f"  --{flag.name:<13} {flag.help}{default}")
    return "\n".join(lines)


def parse(name: str, verb: Verb, arguments: list[str]) -> flags.FlagValues:
    """Reads a verb's arguments.

    Raises:
      UserError: an unknown or missing flag, or a config that cannot be read.
    """
    values = flags.FlagValues()
    for flag in verb.flags:
        define = DEFINE.get(type(flag.default), flags.DEFINE_string)
        default = list(flag.default) if isinstance(flag.default, tuple) else flag.default
        define(flag.name, default, flag.help, flag_values=values)
    argv = [name, *arguments]
    if verb.config:
        _define_config(name, values, argv)
    try:
        rest = values(argv)[1:]
    except flags.UnrecognizedFlagError as error:
        known = [flag.name for flag in verb.flags] + ["config"] * verb.config
        raise UserError(
            f"{name} has no flag --{error.flagname}{nearest(error.flagname, known)}: "
            f"see {name} --help"
        ) from None
    except flags.Error as error:
        raise UserError(_last_line(error)) from None
    except Exception as error:  # a config file is the user's program: it may raise anything
        reason = str(error).replace("\\n", "\n").splitlines()[-1].strip("'")
        raise UserError(f"--config cannot be read: {type(error).__name__}: {reason}") from error
    if verb.argument:
        if not rest:
            raise UserError(f"{name} needs {verb.argument.upper()}: {_call(name, verb)}")
        flags.DEFINE_string(verb.argument, rest.pop(0), "", flag_values=values)
    if verb.rest and values[verb.rest].value:
        values[verb.rest].value = [*values[verb.rest].value, *rest]
        rest = []
    if rest:
        raise UserError(f"{name} does not take {rest[0]!r}: see {name} --help")
    for flag in verb.flags:
        if flag.required and not values[flag.name].value:
            raise UserError(f"{name} needs --{flag.name}: {flag.help}")
    return values


def _define_config(name: str, values: flags.FlagValues, argv: list[str]) -> None:
    """Defines --config and its overrides; the file is read when the flags are parsed."""
    from ml_collections import config_flags

    from vae.config import RULES

    given = [argument.lstrip("-").split("=") for argument in argv if argument.startswith("-")]
    files = [rest[0].split(":")[0] for key, *rest in given if key == "config" and rest]
    if not files:
        raise UserError(f"{name} needs --config=FILE, for instance --config=configs/digits.py")
    if not Path(files[-1]).is_file():
        raise UserError(f"--config={files[-1]}: there is no such file")
    for key, *_ in given:
        if key.startswith("config.") and key.removeprefix("config.") not in RULES:
            key = key.removeprefix("config.")
            raise UserError(f"config has no key {key!r}{nearest(key, RULES)}")
    sys.path.insert(0, str(ROOT))  # where a config file finds `configs`
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)


def _last_line(error: Exception) -> str:
    """The last line of a message: config_flags' may hold a whole traceback."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return [line.strip() for line in text.splitlines() if line.strip()][-1]


def guarded(work: Callable[[], None], debug: bool = False) -> int:
    """Does the work with compilations kept; prints an error in a line or two.

    Returns:
      The exit code: 0 done, 1 failed, 2 the command or the config is wrong.
    """
    warnings.showwarning = _show_warning
    _cache_compilations()
    if not debug:  # Orbax logs the traceback of an error that it also raises
        logging.set_verbosity(logging.FATAL)
    try:
        work()
        return 0
    except (UserError, RunError, OSError) as error:
        if debug:
            raise
        print(f"error: {_message(error)}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    except KeyboardInterrupt:
        if debug:
            raise
        print("error: interrupted; run the same command to go on", file=sys.stderr)
        return 1


def _cache_compilations() -> None:
    """Keeps what XLA compiles between commands, unless the environment says otherwise."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vae" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def _message(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or error}{where}: nothing finished was lost; mend it and run again"
    return str(error)


def _show_warning(message: Warning | str, *_: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
