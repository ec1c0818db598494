"""Which features are meant: pixels, an extractor trained here, or the user's own function."""

import importlib
from collections.abc import Callable

import numpy as np

from vae.errors import UserError
from vae.scores.samples.features import Extractor

PIXELS = "pixels"


def extractor(what: Extractor | Callable | str | None = None) -> Extractor:
    """The extractor that is meant.

    Args:
      what: an `Extractor`; None or "pixels", the numbers of an example as they are; a function of
        examples [N, *shape] that returns features [N, D]; or where one is, "module:function".

    Raises:
      UserError: it is none of these, or cannot be imported.
    """
    if isinstance(what, Extractor):
        return what
    if what is None or what == PIXELS:
        return Extractor(PIXELS, lambda x: np.asarray(x).reshape(len(x), -1))
    if isinstance(what, str):
        return Extractor(what, _imported(what))
    if not callable(what):
        raise UserError(
            f"extractor={what!r} should be 'pixels', 'module:function', or a function of examples "
            "[N, *shape] that returns features [N, D]"
        )
    module, name = getattr(what, "__module__", ""), getattr(what, "__qualname__", "")
    return Extractor(f"{module}:{name or type(what).__name__}", what)


def _imported(path: str) -> Callable[[np.ndarray], np.ndarray]:
    module, _, name = path.partition(":")
    if not module or not name:
        raise UserError(f"extractor={path!r} should be 'pixels' or 'module:function'")
    try:
        found = importlib.import_module(module)
    except Exception as error:  # a user's module may fail in any way
        raise UserError(
            f"extractor={path!r}: {module} cannot be imported ({error!r}); is its folder on "
            "PYTHONPATH?"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise UserError(f"extractor={path!r}: {module} has no {name}")
        found = getattr(found, part)
    if not callable(found):
        raise UserError(f"extractor={path!r}: {name} is a {type(found).__name__}, not a function")
    return found
