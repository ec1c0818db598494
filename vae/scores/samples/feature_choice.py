"""Which features are meant: pixels, an extractor trained here, or the user's own function."""

from collections.abc import Callable

import numpy as np

from vae import parts
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
    if not all(path.partition(":")):
        raise UserError(f"extractor={path!r} should be 'pixels' or 'module:function'")
    found = parts.outside(path, "extractor")
    if not callable(found):
        kind = type(found).__name__
        raise UserError(f"extractor={path!r}: {path.partition(':')[2]} is a {kind}, not a function")
    return found
