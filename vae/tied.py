"""Processes that end with the one that started them, even if it is killed.

`tied` puts this file in front of a command, as a program of its own: it asks Linux for a SIGTERM at
the parent's death (PR_SET_PDEATHSIG, which exec keeps) and becomes the command. So a trial saves
and ends, and any other command just ends. Other systems have no such thing: there the command is
an ordinary child.
"""

import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def tied(command: Sequence[str]) -> list[str]:
    """The command for `subprocess`, so that it gets SIGTERM when the thread that starts it ends."""
    return [sys.executable, "-IS", os.path.abspath(__file__), str(os.getpid()), *command]


def main(parent: str, *command: str) -> None:
    """Becomes the command, unless the parent has ended already."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it ended before it was watched
        sys.exit(128 + signal.SIGTERM)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
