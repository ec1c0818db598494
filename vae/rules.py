"""What a value of a config may be: each rule says what a wrong one should have been."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from vae.choices import names, nearest
from vae.parts import is_outside

Rule = Callable[[Any], str | None]  # a value -> what it should have been, or None where it is right

MOST = 2**31 - 1  # of a whole number: what 32 bits hold
LARGEST = 3.4028234e38  # of a real number: what float32 holds
SMALLEST = 1.1754944e-38  # above 0: what float32 holds and processors do not take for 0


def whole(least: int, most: int = MOST) -> Rule:
    """A whole number from `least` to `most`."""

    def rule(value: Any) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            return f"a whole number of at least {least}"
        return None if value <= most else f"a whole number of at most {most:,}"

    return rule


def multiple_of(number: int) -> Rule:
    """A whole number that is some times `number`."""
    at_least = whole(number, MOST // number * number)

    def rule(value: Any) -> str | None:
        wrong = at_least(value)
        return wrong or (f"a multiple of {number}" if value % number else None)

    return rule


@dataclasses.dataclass(frozen=True)
class Number:
    """A real number; a whole one will do. With `open_low`, above `low`."""

    low: float
    high: float = LARGEST
    open_low: bool = False

    def __call__(self, value: Any) -> str | None:
        """What the value should have been; None where it is right."""
        least = f"above {self.low:g}" if self.open_low else f"at least {self.low:g}"
        most = f" and at most {self.high:g}" if self.high < LARGEST else ""
        if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
            return f"a number {least}{most}"
        if value > self.high and value != math.inf:
            return f"a number of at most {self.high:g}"
        if self.open_low and self.low < value < self.low + SMALLEST:
            return f"a number of at least {self.low + SMALLEST:g}: a smaller one counts as 0"
        fits = self.low <= value <= self.high and not (self.open_low and value == self.low)
        return None if fits else f"a number {least}{most}"


def wholes(value: Any) -> str | None:
    """A list of whole numbers of at least 1, which may be empty."""
    items = value if isinstance(value, tuple | list) else (0,)
    wrong = next(filter(None, map(whole(1), items)), "").removeprefix("a whole number ")
    return f"a list of whole numbers, each {wrong}, such as (200, 200)" if wrong else None


def some_wholes(value: Any) -> str | None:
    """As `wholes`, with at least one."""
    empty = isinstance(value, tuple | list) and not value
    return "a list of at least one whole number" if empty else wholes(value)


def some_of(place: str) -> Rule:
    """A list of some of the names at a place (`choices.names`), which is read when it is asked."""

    def rule(value: Any) -> str | None:
        known = names(place)
        items = value if isinstance(value, tuple | list) else (value,)
        wrong = [item for item in items if item not in known and not is_outside(item)]
        if isinstance(value, tuple | list) and not wrong:
            return None
        near = nearest(wrong[0], known) if wrong else ""
        return f"a list of some of: {', '.join(known)}, such as ({known[0]!r},){near}"

    return rule


def texts(value: Any) -> str | None:
    """Some texts, or none."""
    right = isinstance(value, tuple | list) and all(isinstance(item, str) for item in value)
    return None if right else "a list of texts, such as ('encoder',)"


def text(value: Any) -> str | None:
    """Any string."""
    return None if isinstance(value, str) else "text"


def flag(value: Any) -> str | None:
    """True or False."""
    return None if isinstance(value, bool) else "True or False"


def flag_or(*words: str) -> Rule:
    """True, False, or one of these words."""

    def rule(value: Any) -> str | None:
        right = isinstance(value, bool) or (isinstance(value, str) and value in words)
        return None if right else f"True, False{', '.join(('', *words[:-1]))} or {words[-1]}"

    return rule


def one_of(*options: str) -> Rule:
    """One of these strings."""

    def rule(value: Any) -> str | None:
        if isinstance(value, str) and value in options:
            return None
        shown = (option or '""' for option in options)
        return f"one of: {', '.join(shown)}{nearest(value, options)}"

    return rule


fraction = Number(0.0, 1.0)
length = Number(0.0)
above_zero = Number(0.0, open_low=True)
