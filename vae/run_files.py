"""What the JSON files of a run and of a sweep hold, read and checked: a reader a file.

A damaged file raises one UserError that names the file, what is wrong with it and how to mend it.
So callers need no checks of their own.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vae import runs
from vae.errors import UserError
from vae.metrics import SHOWN, SIGNS, filled

Rule = Callable[[Any], bool]
OBSERVED = ("binary", "grey", "real", "counts", "tokens", "columns")
STATES = ("done", "failed", "pruned", "pending")


def is_number(value: Any) -> bool:
    """Whether it is an int or a float, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(least: int) -> Rule:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= least


def _list_of(rule: Rule) -> Rule:
    return lambda v: isinstance(v, list) and all(map(rule, v))


def _mapping_to(rule: Rule) -> Rule:
    return lambda v: isinstance(v, dict) and all(map(rule, v.values()))


def _object(needs: Mapping[str, Rule], may: Mapping[str, Rule] | None = None) -> Rule:
    """The rule of a JSON object that has the keys `needs` and may have those of `may`, each by its
    own rule."""

    def rule(value: Any) -> bool:
        return isinstance(value, dict) and not wrong(value, needs, may or {})

    return rule


def wrong(value: Mapping[str, Any], needs: Mapping[str, Rule], may: Mapping[str, Rule]) -> str:
    """The first key that is missing or holds something else; "" where all are right."""
    for key, rule in {**may, **needs}.items():
        if key not in value and key in needs:
            return f"it lacks {key!r}"
        if key in value and not rule(value[key]):
            return f"{key!r} holds something else"
    return ""


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _one_of(names: tuple[str, ...]) -> Rule:
    return lambda v: v in names


def _or_none(rule: Rule) -> Rule:
    return lambda v: v is None or rule(v)


_FINITE = _list_of(lambda v: is_number(v) and math.isfinite(v))
_METRIC = _object(
    {"value": _or_none(is_number)},
    {"stderr": _or_none(is_number), "unit": _or_none(_text), "label": _text,
     "better": _one_of(tuple(SIGNS)), "shown": _one_of(SHOWN)},
)  # fmt: skip
DATA = {
    "shape": lambda v: bool(v) and _list_of(_whole(1))(v),
    "levels": _whole(0),
    "observed": _one_of(OBSERVED),
    "context_size": _whole(0),
}
DATA_OF_SOME = {
    "mean": _FINITE, "std": _FINITE, "context_mean": _FINITE, "context_std": _FINITE,
    "columns": _list_of(lambda v: _text(v) or is_number(v)),  # numbers: of older runs
    "vocabulary": _list_of(_text), "never_first": _list_of(_whole(0)), "contents": _text,
    "done": _list_of(_text), "id": _text, "column_kinds": _list_of(lambda v: isinstance(v, dict)),
    "covariates": _list_of(_text), "libraries": lambda v: _FINITE(v) and len(v) == 2,
}  # fmt: skip
EVALUATION = {
    "split": _one_of(("validation", "test")),
    "num_examples": _whole(1),
    "step": _whole(0),
    "metrics": _mapping_to(_METRIC),
}
EVALUATION_OF_SOME = {"arrays": _mapping_to(_list_of(is_number))}
SWEEP = {
    "name": _text,
    "keys": _list_of(_text),
    "config": lambda v: isinstance(v, dict),
    "trials": _list_of(
        _object(
            {"name": _text, "values": lambda v: isinstance(v, dict), "state": _one_of(STATES)},
            {"reason": _or_none(_text), "seconds": _or_none(is_number),
             "value": _or_none(is_number)},  # of what a search optimises, on the validation set
        )
    ),
}
SWEEP_OF_SOME = {
    "environment": _or_none(lambda v: isinstance(v, dict)),
    "metric": _or_none(_text), "launcher": _text, "command": _text, "time": _text,
}  # fmt: skip
AGAIN = "run train with the same config, which writes it anew"


def read_data(workdir: Path) -> dict[str, Any]:
    """data.json: what a trained model must know of its data."""
    return _checked(workdir / "data.json", DATA, DATA_OF_SOME, AGAIN)


def read_environment(workdir: Path) -> dict[str, Any]:
    """environment.json; {} where there is none."""
    path = workdir / "environment.json"
    return _checked(path, {}, {}, AGAIN) if path.exists() else {}


def read_evaluation(workdir: Path) -> dict[str, Any] | None:
    """evaluation.json; None where the run has not been evaluated. Its metrics have all keys of
    `vae.metrics.Metric`, also where an older version wrote it."""
    path = workdir / "evaluation.json"
    if not path.exists():
        return None
    found = _checked(path, EVALUATION, EVALUATION_OF_SOME, "evaluate the run again")
    return found | {"metrics": {name: filled(name, m) for name, m in found["metrics"].items()}}


def read_bounds(workdir: Path) -> dict[str, np.ndarray]:
    """per_example.npz: bounds of every example, [N] nats; {} where it has not been written."""
    path = workdir / "per_example.npz"
    if not path.exists():
        return {}
    arrays = runs.read_arrays(path)
    if len({array.shape for array in arrays.values()}) > 1 or any(
        array.ndim != 1 or array.dtype.kind != "f" for array in arrays.values()
    ):
        raise UserError(f"{path} holds something else than bounds: evaluate the run again")
    return arrays


def read_sweep(directory: Path) -> dict[str, Any]:
    """sweep.json."""
    remedy = "restore it, or delete the sweep to start afresh"
    return _checked(directory / "sweep.json", SWEEP, SWEEP_OF_SOME, remedy)


def _checked(
    path: Path, needs: Mapping[str, Rule], may: Mapping[str, Rule], remedy: str
) -> dict[str, Any]:
    """A file's JSON object.

    Raises:
      UserError: it is missing or damaged.
    """
    found = runs.read_json(path, remedy)
    problem = wrong(found, needs, may) if isinstance(found, dict) else "it holds no JSON object"
    if problem:
        raise UserError(f"{path} is damaged ({problem}): {remedy}")
    return found
