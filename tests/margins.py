"""Assertions on random quantities, and a measure of the room that each has.

    python -m tests.margins [FILE of tests, or other arguments of pytest ...]

runs the tests that use these assertions under 10 seeds, and says of every assertion how far its
bound is from the mean of the quantity in standard deviations over the seeds, which are the standard
errors of what one run of the test sees. Each should have 5 or more: the exit code is 1 where one
has fewer. What was measured is kept in `experiments/results/test_margins.json`.

VAE_TEST_SEED shifts every seed of NumPy's generators and of JAX's keys, in the tests and in what
they test. What a test is about and not its noise, such as a model's weights, is drawn by
`fixed_rng`. Where VAE_TEST_MARGINS names a file, numbers are written there and none is asserted.
"""

import importlib
import json
import multiprocessing
import os
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy.stats import norm

from vae import runs
from vae.reports.tables import format_table

ROOT = Path(__file__).resolve().parent.parent
SEEDS, LEAST = 10, 5.0
UNDERSTATED = 2.0  # root mean square of deviations in standard errors that a test works out
IMPORTED = ("tests.conftest", "optax", "sklearn.ensemble", "vae.scores.probes", "vae.models")
fixed_rng = np.random.default_rng  # the same numbers whatever VAE_TEST_SEED is


def below(value: Any, bound: Any) -> None:
    """Asserts value < bound, of numbers or arrays."""
    _check("below", value, np.asarray(value, np.float64) - bound, 0.0)


def above(value: Any, bound: Any) -> None:
    """Asserts value > bound, of numbers or arrays."""
    _check("above", value, np.asarray(bound, np.float64) - value, 0.0)


def near(value: Any, expected: Any, tolerance: Any = 0.0, rel: float = 0.0) -> None:
    """Asserts |value - expected| < tolerance + rel |expected|, of numbers or arrays."""
    room = tolerance + rel * np.abs(expected)
    _check("near", value, np.asarray(value, np.float64) - expected, room)


def within(value: Any, expected: Any, stderr: Any) -> None:
    """Asserts that value is as expected, to 5 of its standard errors, which the test knows."""
    _check("within", value, (np.asarray(value, np.float64) - expected) / stderr, LEAST)


def mean_is(draws: Any, expected: Any, rounding: float = 0.0) -> None:
    """Asserts the mean of independent draws [N, ...], to 5 standard errors and what is rounded."""
    draws = np.asarray(draws, np.float64)
    stderr = draws.std(0, ddof=1) / np.sqrt(len(draws))
    within(draws.mean(0), expected, stderr + rounding / LEAST)


def likely(p_value: float) -> None:
    """Asserts that the p-value of what is true is not that of 5 standard errors or more."""
    _check("within", p_value, max(norm.isf(p_value), 1.0 - LEAST), LEAST)


def _check(kind: str, value: Any, away: Any, room: Any) -> None:
    """`away`: from the bound on the wrong side, or from what is expected with `room` around it."""
    away, room = np.broadcast_arrays(away, room)
    if "VAE_TEST_MARGINS" in os.environ:
        line = _place() | {"kind": kind, "value": _text(value)}
        line |= {"away": away.ravel().tolist(), "room": room.ravel().tolist()}
        with open(os.environ["VAE_TEST_MARGINS"], "a") as file:
            file.write(json.dumps(line) + "\n")
        return
    fits = away < 0 if kind in ("below", "above") else np.abs(away) < room
    assert fits.all(), f"{_text(value)} is not {kind}: {_text(away)} off, room {_text(room)}"


def _text(values: Any) -> str:
    flat = np.ravel(np.asarray(values, np.float64))
    return ", ".join(f"{v:.4g}" for v in flat[:3]) + (", ..." if len(flat) > 3 else "")


def _place() -> dict[str, Any]:
    """The test that runs, and the line that asserts."""
    frame = sys._getframe()
    while frame.f_code.co_filename == __file__:
        frame = frame.f_back
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
    return {"test": test, "at": f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"}


def shift_seeds(shift: int) -> None:
    """Gives every seed other numbers than its own, in this process; 0 changes none."""
    if not shift:
        return
    rng, sequence, key = np.random.default_rng, np.random.SeedSequence, jax.random.key

    def default_rng(seed: Any = None) -> np.random.Generator:
        seeded = isinstance(seed, int | np.integer | list | tuple | np.ndarray)
        return rng([*np.ravel(seed).tolist(), shift] if seeded else seed)

    np.random.default_rng = default_rng
    np.random.SeedSequence = lambda seed: sequence([*np.ravel(seed).tolist(), shift])
    jax.random.key = lambda seed, **more: jax.random.fold_in(key(seed, **more), shift)


def margins(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row an assertion, of what was written under all seeds; the least margin first.

    One that is made several times in a test, or of several numbers, is as good as its worst.
    """
    seen, times = defaultdict(list), Counter()
    for line in lines:
        place = line["test"], line["at"]
        times[line["seed"], place] += 1
        seen[place, times[line["seed"], place]].append(line)
    worst: dict[tuple, dict[str, Any]] = {}
    for (place, _), found in seen.items():
        row = {"test": place[0], "at": place[1]} | _row(found)
        if place not in worst or row["margin"] < worst[place]["margin"]:
            worst[place] = row
    return sorted(worst.values(), key=lambda row: row["margin"])


def _row(found: list[dict[str, Any]]) -> dict[str, Any]:
    """How far off the numbers are over the seeds, and how many standard errors are left."""
    kind, room = found[0]["kind"], np.array(found[0]["room"])
    away = np.array([line["away"] for line in found])  # [seeds, numbers]
    mean, stderr = away.mean(0), away.std(0, ddof=1)
    left = -mean if kind in ("below", "above") else room - np.abs(mean)
    with np.errstate(divide="ignore"):
        margin = np.where(stderr > 0, left / stderr, np.where(left > 0, np.inf, -np.inf))
    if kind == "within":  # the test's own standard error is the measure, if it is right
        spread = np.sqrt(np.square(away).mean())
        margin = np.minimum(margin, 0.0) + LEAST / (spread if spread > UNDERSTATED else 1.0)
    at = int(margin.argmin())
    return {
        "kind": kind, "value": found[0]["value"], "off": float(mean[at]), "room": float(room[at]),
        "stderr": float(stderr[at]), "margin": float(margin[at]), "seeds": len(found),
    }  # fmt: skip


def measure(arguments: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """What the tests wrote under every seed, and those that failed by another assertion."""
    os.chdir(ROOT)
    for name in IMPORTED:
        importlib.import_module(name)
    tests = sorted(ROOT.glob("tests/**/test_*.py"))
    named = arguments or [str(test) for test in tests if "tests.margins import" in test.read_text()]
    lines, failed = [], []
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            fork = multiprocessing.get_context("fork")
            process = fork.Process(target=_run, args=(seed, named, folder))
            process.start()
            process.join()
            told = Path(folder, "said").read_text().splitlines()
            written = Path(folder, "lines").read_text().splitlines()
        failed += [f"seed {seed}: {line}" for line in told if line.startswith(("FAIL", "ERR"))]
        print(f"seed {seed}: {told[-1]}", file=sys.stderr, flush=True)
        found = [json.loads(line) | {"seed": seed} for line in written]
        lines += found
        if not seed:  # the others need only run what asserts something here
            flags = [a for a in arguments if not Path(a.partition("::")[0]).exists()]
            named = [*flags, *sorted({line["test"] for line in found})]
    return lines, failed


def _run(seed: int, named: list[str], folder: str) -> None:
    """The tests under one seed, in a process of their own."""
    import pytest

    path = Path(folder, "lines")
    path.touch()
    os.environ |= {"VAE_TEST_MARGINS": str(path), "VAE_TEST_SEED": str(seed)}
    with open(Path(folder, "said"), "w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        pytest.main(["-q", "-n0", *named])
        sys.stdout.flush()


def keep(rows: list[dict[str, Any]], whole: bool) -> None:
    """Records the rows: instead of all, or of those of the same tests."""
    from experiments import result_files

    made, path = runs.environment(), result_files.RESULTS / "test_margins.json"
    measured = {row["test"] for row in rows}
    old = result_files.read(path)["rows"] if path.exists() and not whole else []
    rows = [
        row | {"git_revision": made["git_revision"], "margin": _finite(row["margin"])}
        for row in rows
    ] + [row for row in old if row["test"] not in measured]
    rows.sort(key=lambda row: (row["test"], row["at"]))
    made |= {"command": "python -m tests.margins", "seeds": SEEDS, "rows": rows}
    result_files.write("test_margins", made)


def _finite(margin: float) -> float | None:
    """None for what is the same under every seed: JSON has no infinity."""
    return margin if np.isfinite(margin) else None


def main(arguments: list[str]) -> int:
    """Measures, prints the table and keeps it."""
    lines, failed = measure(arguments)
    rows = margins(lines)
    shown = [row | {key: f"{row[key]:.3g}" for key in ("off", "room", "stderr")} for row in rows]
    shown = [row | {"margin": f"{row['margin']:.1f}"} for row in shown]
    print(format_table(shown))
    few = sum(row["margin"] < LEAST for row in rows)
    print("\n".join([*failed, f"{few} of {len(rows)} with less than {LEAST:g} standard errors"]))
    keep(rows, whole=not arguments)
    return int(few > 0 or bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
