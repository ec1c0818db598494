"""What a metric is. The module that computes one declares it, once, with all that is said of it:

    BPD = Kind("bpd", "Bits per dimension", "down", "bits per dimension")
    NLL_IWAE = Kind("nll_iwae_{:d}", "−log p(x), IWAE bound, K = {:,}", "down", "nats")  # a family

    BPD(bits)                        # the mean over examples and its standard error
    NLL_IWAE[50](values)             # of a family
    SAP.of(value, unit="gap of ...") # what is no mean over examples

`evaluation.json` holds all of it beside the number; pages, tables and searches read it there.
Imports no JAX.
"""

import copy
import dataclasses
import importlib
import pkgutil
import re
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae.errors import RunError

ROOMS = ("vae.evaluation", "vae.estimators", "vae.scores")  # where kinds are declared
SIGNS = {"up": 1, "down": -1, "none": 0}  # of what is better
SHOWN = ("", "run", "sweep")
FACTS = ("label", "better", "unit", "shown")
DEFAULTS = {"stderr": None, "unit": "", "better": "none", "shown": ""}  # of older files


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number of a declared kind, as a `Kind` makes it.

    Attributes:
      name: its key in `evaluation.json`.
      value, stderr: the number and its standard error (None: there is none).
      unit: of value and standard error, in words, with what went into the number.
      better, label, shown: as `Kind` has them.
      estimate: "analytic" or "monte carlo", where that is told.
    """

    name: str
    value: float
    stderr: float | None
    unit: str
    better: str
    label: str
    shown: str = ""
    estimate: str = ""

    def entry(self) -> dict[str, Any]:
        """What `evaluation.json` holds under its name."""
        found = dataclasses.asdict(self)
        optional = {key: found.pop(key) for key in ("shown", "estimate")}
        del found["name"]
        return found | {key: value for key, value in optional.items() if value}


@dataclasses.dataclass(frozen=True)
class Kind:
    """The declaration of a metric, or of a family of them.

    Attributes:
      name: of a family with one place to fill, `{}` by words or `{:d}` by a number.
      label: what pages call it; of a family with the same place.
      better: "up", "down", or "none" where neither more nor less is better.
      unit: in words, where a metric says nothing else.
      shown: where it is among the first: "run", at the top of a run's page; "sweep", there and in a
        sweep's summary; "": only in tables of all metrics.

    Raises:
      ValueError: another value than those, or two modules declare a name differently.
    """

    name: str
    label: str
    better: str
    unit: str = ""
    shown: str = ""

    def __post_init__(self) -> None:
        place = sys._getframe(2).f_globals["__name__"]  # the module that declares it
        if self.better not in SIGNS or self.shown not in SHOWN:
            raise ValueError(
                f"{place}: better={self.better!r} of the metric {self.name!r} is one of: "
                f"{', '.join(SIGNS)}; and shown={self.shown!r} of: {', '.join(map(repr, SHOWN))}"
            )
        known, there = _DECLARED.setdefault(self.name, (self, place))
        if known != self:
            raise ValueError(f"{place} declares the metric {self.name!r}, and so does {there}")

    def __getitem__(self, part: str | int) -> "Kind":
        """The member of a family: `NLL_IWAE[50]` is the kind of "nll_iwae_50"."""
        kind = copy.copy(self)  # which declares nothing
        words = part.replace("_", " ") if isinstance(part, str) else part
        object.__setattr__(kind, "name", self.name.format(part))
        object.__setattr__(kind, "label", self.label.format(words))
        return kind

    def __call__(self, values: Any, unit: str | None = None) -> Metric:
        """The mean over examples, with its standard error, of values [N].

        Raises:
          RunError: one is not finite.
        """
        return self.of(*mean_and_stderr(values, self.name), unit)

    def of(
        self, value: float | np.floating, stderr: float | None = None, unit: str | None = None
    ) -> Metric:
        """A metric of this value; whole numbers stay whole."""
        return Metric(
            self.name,
            value if isinstance(value, int) else float(value),
            None if stderr is None else float(stderr),
            self.unit if unit is None else unit,
            self.better, self.label, self.shown,
        )  # fmt: skip

    def facts(self) -> dict[str, str]:
        """What `evaluation.json` says of its metrics beside their numbers."""
        return facts(vars(self))


_DECLARED: dict[str, tuple[Kind, str]] = {}  # name -> kind, and the module that declares it


def _find(name: str, within: str | tuple[str, ...] = "") -> Kind | None:
    for kind, place in _DECLARED.values():
        pattern = re.escape(kind.name).replace(r"\{\}", r"(\w+)").replace(r"\{:d\}", r"(\d+)")
        match = re.fullmatch(pattern, name) if place.startswith(within) else None
        if match and match.groups():
            return kind[int(match[1]) if "{:d}" in kind.name else match[1]]
        if match:
            return kind
    return None


def declared(name: str) -> Kind | None:
    """The kind of a metric that `evaluate` may write, by its name; None: there is none.

    Imports the other modules of ROOMS where the name is not known yet.
    """
    found = _find(name, ROOMS)
    for room in ROOMS if found is None else ():
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            importlib.import_module(module.name)
    return found or _find(name, ROOMS)


def by_name(*metrics: Metric) -> dict[str, Metric]:
    """Metrics as groups return them."""
    return {metric.name: metric for metric in metrics}


def checked(found: Mapping[str, Metric], place: str) -> Mapping[str, Metric]:
    """The metrics that `place` returns.

    Raises:
      TypeError: one was not made by a `Kind`, or is under another name than its own.
    """
    for name, metric in found.items():
        if not isinstance(metric, Metric) or metric.name != name or _find(name) is None:
            raise TypeError(
                f"{place} returns {name!r}, which is no metric of a declared kind: declare it at "
                "the top of the module that computes it, and let that make it "
                "(vae/metrics.py)"
            )
    return found


def filled(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A metric of `evaluation.json` with all keys: in older files the label is its name, and
    neither more nor less is better."""
    told = {key: value for key, value in entry.items() if value is not None}
    return {**entry, **DEFAULTS, "label": name, **told}


def facts(entry: Mapping[str, Any]) -> dict[str, str]:
    """What a metric of a file says beside its number, as `Kind.facts`."""
    return {key: entry[key] for key in FACTS}


def sign(facts: Mapping[str, Any]) -> int:
    """1 where more is better, -1 where less is, 0 where neither is, of a metric in a file."""
    return SIGNS[facts["better"]]


def counted_in(facts: Mapping[str, Any]) -> str:
    """The unit of a metric in a file if it is one word up to a comma, such as "nats"; else ""."""
    match = re.match(r"\w+(?=[,;]|$)", facts["unit"])
    return match[0] if match else ""


def mean_and_stderr(values: Any, name: str) -> tuple[float, float]:
    """Mean over examples and its standard error, in float64.

    Raises:
      RunError: a value is not finite; no value is ever left out.
    """
    values = np.asarray(values, np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise RunError(
            f"{name} is not finite for {len(wrong)} of {len(values)} examples (first: number "
            f"{wrong[0]}): the model has diverged or the data is damaged"
        )
    spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(values.mean()), float(spread)
