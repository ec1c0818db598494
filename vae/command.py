"""A command: what a verb takes, its help, and how its errors are printed."""

import dataclasses
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from absl import logging

from vae import distributed
from vae.errors import Interrupted, RunError, UserError, shortened, typed
from vae.signals import sigterm_interrupts

ROOT = Path(__file__).resolve().parent.parent  # where `experiments` is, in a clone


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag of a verb."""

    name: str
    help: str
    default: Any = None
    required: bool = False
    kind: type | None = None  # of the flag, if the default is None; else text


@dataclasses.dataclass(frozen=True)
class Verb:
    """One verb: what it does, its flags, and the call that does it."""

    summary: str
    flags: tuple[Flag, ...]
    call: Callable[[Any], None]
    argument: str = ""  # a positional argument, by name
    rest: str = ""  # the flag that takes what follows it: --compare A B
    config: bool = False  # takes --config FILE[:arg] and --config.a.b value


def usage(verbs: Mapping[str, Verb]) -> str:
    """What `--help` prints."""
    lines = [f"usage: {typed()} VERB [flags]", ""]
    for name, verb in verbs.items():
        lines.append(f"  {call_of(name, verb)}\n      {verb.summary}")
    lines += [
        "",
        "--debug shows the traceback of an error. VERB --help lists the flags of a verb, VERB",
        "--helpfull those of absl and JAX too, which every verb takes.",
        "Exit codes: 0 done, 1 failed, 2 the command or the config is wrong; 130 interrupted by",
        "Ctrl-C, 143 by SIGTERM: what was done is saved.",
    ]
    return "\n".join(lines)


def call_of(name: str, verb: Verb) -> str:
    """A verb with its arguments and flags, as in its usage."""
    parts = [name] + ([verb.argument.upper()] if verb.argument else [])
    if verb.config:
        own = any(flag.name == "data" for flag in verb.flags)  # which may stand for it
        parts.append("[--config=FILE[:arg]]" if own else "--config=FILE[:arg]")
        parts.append("[--config.a.b=value]")
    for flag in verb.flags:
        text = f"--{flag.name}" + f"={flag.name.upper()}" * (flag.default is not False)
        parts.append(text if flag.required else f"[{text}]")
    return " ".join(parts)


def verb_usage(name: str, verb: Verb) -> str:
    """What `VERB --help` prints."""
    lines = [f"usage: {call_of(name, verb)}", "", f"  {verb.summary}", ""]
    if verb.config:
        lines.append("  --config        a shipped config, a file with a get_config(), which gets")
        lines.append("                  what follows a ':'; or a run, or its config.json")
        lines.append("  --config.a.b    any key of the config; docs/keys.md explains each")
    for flag in verb.flags:
        default = f" (default: {flag.default})" if flag.default not in (None, (), False) else ""
        lines.append(f"  --{flag.name:<13} {flag.help}{default}")
    return "\n".join(lines)


def guarded(work: Callable[[], None], debug: Callable[[], bool] = lambda: False) -> int:
    """Does the work with compilations kept; prints an error in a line or two.

    Args:
      debug: called once there is an error; says whether to raise it instead.

    Returns:
      The exit code: 0 done, 1 failed, 2 the command or the config is wrong; 128 and the number of
      the signal that interrupted it.
    """
    warnings.showwarning = _show_warning
    _cache_compilations()
    logging.set_verbosity(logging.FATAL)  # Orbax logs the traceback of an error that it also raises
    try:
        code, said = _tried(work, debug)
    except BaseException as error:
        if not distributed.joined():
            raise
        traceback.print_exc()
        code, said = 1, shortened(f"{type(error).__name__}: {error}")
    distributed.leave(code, said)
    return code


def _tried(work: Callable[[], None], debug: Callable[[], bool]) -> tuple[int, str]:
    """The exit code, and what was printed of an error or an interruption."""
    try:
        with sigterm_interrupts():
            work()
        return 0, ""
    except (UserError, RunError, OSError) as error:
        if debug():
            raise
        said = shortened(_message(error))
        print(f"error: {said}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1, said
    except Exception as error:
        distributed.suspect()
        if debug() or not _lacks_memory(error):
            raise
        said = _lacking(error)
        print(f"error: {said}", file=sys.stderr)
        return 1, said
    except KeyboardInterrupt as error:
        if debug():
            raise
        ended = error if isinstance(error, Interrupted) else Interrupted()
        print(ended, file=sys.stderr)
        return 128 + ended.number, str(ended)


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


def _lacks_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def _lacking(error: Exception) -> str:
    said = " ".join((str(error).splitlines() or [""])[0].split())[:200]
    return (
        f"not enough memory{f' ({said})' if said else ''}: ask for less at a time, such as a "
        "smaller model or batch\nnothing finished was lost"
    )


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {shortened(str(message))}", file=sys.stderr)
