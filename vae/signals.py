"""SIGTERM as Ctrl-C: whatever a command holds is let go of, and it says how it ended."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from vae.errors import Interrupted


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Raises Interrupted where SIGTERM comes; in a thread other than the main one it cannot."""

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted(number)

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
