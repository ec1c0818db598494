"""The platform that programs are traced for, where a network has a form of its own for one."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax

_other: ContextVar[str] = ContextVar("platform", default="")


def platform() -> str:
    """"cpu", "cuda" or "tpu": of the devices here, or of those that are compiled for."""
    return _other.get() or jax.default_backend()


@contextmanager
def tracing_for(name: str) -> Iterator[None]:
    """What is traced within is for another platform."""
    token = _other.set(name)
    try:
        yield
    finally:
        _other.reset(token)
