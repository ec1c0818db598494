"""SIGTERM acts as Ctrl-C: a command releases what it holds and says how it ended."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from vae.errors import Interrupted


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Raises Interrupted on SIGTERM; has no effect in a thread other than the main one."""

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
