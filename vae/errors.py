"""The ways in which a command ends early; `vae.command` prints each as one or two lines."""

import os
import re
import shlex
import signal
import sys
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
LONG_WORD, LONG_LINE = 200, 1000  # letters of a message, beyond which its middle is left out


class UserError(Exception):
    """The command, config or data is wrong (exit code 2). The message says what to do."""


class RunError(Exception):
    """The command was right and the work failed (exit code 1). The message says what to do."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the work (exit code 128 and its number). The message says what was saved."""

    def __init__(self, number: int = signal.SIGINT, message: str = ""):
        super().__init__(message or "interrupted; run the same command to go on")
        self.number = int(number)


def shortened(message: str) -> str:
    """A message without the middle of what is very long: a user's value may be of any length."""
    message = re.sub(rf"\S{{{LONG_WORD + 1},}}", lambda word: _cut(word[0], LONG_WORD), message)
    return "\n".join(_cut(line, LONG_LINE) for line in message.split("\n"))


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    left = most // 2 - 20
    return f"{text[:left]}...({len(text) - 2 * left:,} more)...{text[-left:]}"


def needed(value: T | None, what: str) -> T:
    """A value whose type allows None; raises ValueError where it is None."""
    if value is None:
        raise ValueError(f"there is no {what}")
    return value


def typed() -> str:
    """How the program was called, for hints to paste: a launch.sh, vae or python -m vae."""
    called = os.environ.get("VAE_COMMAND", "")
    if called:
        return shlex.quote(called)
    return "vae" if Path(sys.argv[0]).name == "vae" else "python -m vae"
