"""Plants faults one at a time: does the default suite find them?

`python -m tests.planted [--revision=REV ...] [--only=FAULT,...]` copies each revision (HEAD by
default), plants each fault in its own copy, runs the tests of its room until one fails, and the
whole default suite where none did. It writes what was found, and by which test, to
`experiments/results/planted_faults.json`. A revision without a fault has to pass.
"""

import argparse
import dataclasses
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from experiments import result_files
from vae import runs

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = ["-q", "--tb=no", "-p", "no:cacheprovider", "--ignore=tests/test_planted.py"]
PARALLEL = ["--numprocesses", "auto", "--maxprocesses", "8", "--dist", "loadfile"]


@dataclasses.dataclass(frozen=True)
class Fault:
    """One wrong line.

    Args:
      edits: (right, wrong) text of `path`, one for each form that the line has had.
      tests: where it ought to be found, and so is looked for first.
    """

    name: str
    path: str
    edits: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]

    def planted(self, text: str) -> str:
        """The file with the fault.

        Raises:
          ValueError: no form of the line is there exactly once.
        """
        for right, wrong in self.edits:
            if text.count(right) == 1:
                return text.replace(right, wrong)
        raise ValueError(f"{self.name}: the line to spoil is not once in {self.path}")


def fault(name: str, path: str, right: str, wrong: str, *tests: str) -> Fault:
    return Fault(name, path, ((right, wrong),), tests)


FAULTS = [
    fault(
        "the KL has the wrong sign", "vae/probability/gaussian.py",
        "return 0.5 * (jnp.square(mu) + jnp.exp(logvar) - 1.0 - logvar)",
        "return -0.5 * (jnp.square(mu) + jnp.exp(logvar) - 1.0 - logvar)",
        "tests/probability/test_gaussian.py",
    ),
    fault(
        "the KL is averaged over latents", "vae/objectives/elbo.py",
        "joint.kl.sum(-1)", "joint.kl.mean(-1)",
        "tests/objectives/test_elbo.py", "tests/objectives/test_quadrature.py",
    ),
    fault(
        "devices share their noise", "vae/training/step.py",
        "index = index + jax.lax.axis_index(axis) * count", "index = index + 0",
        "tests/training/test_step.py",
    ),
    fault(
        "an objective sees one device's part of the batch", "vae/objectives/coupling.py",
        "return values if axis is None else jax.lax.all_gather(values, axis, tiled=True)",
        "return values if axis is None else jnp.tile(values, "
        "(jax.lax.axis_size(axis), *[1] * (values.ndim - 1)))",
        "tests/training/test_step.py",
    ),
    fault(
        "a schedule starts anew at each log line", "vae/training/step.py",
        "now = hyper_at(program, hyper, state.step)",
        'now = hyper_at(program, hyper, state.sums["steps"].astype(jnp.int32))',
        "tests/training",
    ),
    fault(
        "a resumed run forgets its optimiser", "vae/training/trial.py",
        "current = restored[1] if restored else self._first()",
        "current = self._first()\n"
        "        if restored:\n"
        "            current = restored[1].replace(opt_state=current.opt_state)",
        "tests/models/test_runs.py", "tests/test_resume.py",
    ),
    fault(
        "the decoder sees masked latents", "vae/models/flat.py",
        "(z if self.mask is None else z * self.mask)[...,", "z[...,",
        "tests/training/test_population.py",
    ),
    fault(
        "padded rows are counted", "vae/estimators/batches.py",
        "self._join(leaves)[: len(x)]", "self._join(leaves)",
        "tests/estimators/test_bounds.py",
    ),
    fault(
        "the last, short batch is left out", "vae/estimators/batches.py",
        "range(0, len(x), rows)", "range(0, len(x) - rows + 1, rows)",
        "tests/estimators/test_bounds.py",
    ),
    fault(
        "the test set is binarised anew at each pass", "vae/data/observe.py",
        "binarization.static(raw, levels, SEED, rows)",
        "binarization.static(raw, levels, np.random.randint(2**31), rows)",
        "tests/data",
    ),
    fault(
        "IWAE in training lacks -log K", "vae/objectives/importance.py",
        " - jnp.log(float(log_w.shape[axis]))", "",
        "tests/objectives/test_importance.py",
    ),
    fault(
        "IWAE in evaluation lacks -log K", "vae/estimators/bounds.py",
        "return total - jnp.log(float(samples))", "return total",
        "tests/estimators/test_bounds.py",
    ),
    fault(
        "DReG's weights are not squared", "vae/objectives/importance.py",
        "z = scale_gradient(z, weights[..., None])", "z = scale_gradient(z, 1.0)",
        "tests/objectives/test_importance.py",
    ),
    fault(
        "the total correlation takes an example for another", "vae/objectives/disentangling.py",
        "jnp.where(own > 0, 1.0 / num_examples, others)", "others * jnp.ones_like(own)",
        "tests/objectives/test_disentangling.py",
    ),
    fault(
        "the highest grey level is a bin like the others", "vae/probability/discretized.py",
        "lowest, highest = level == 0, level == top", "lowest, highest = level == 0, level > top",
        "tests/probability/test_discretized.py",
    ),
    fault(
        "evaluation takes the last weights, not the averaged", "vae/evaluation/trained.py",
        'weights = "ema" if config.train.ema else "params"', 'weights = "params"',
        "tests/evaluation/test_trained.py",
    ),
    fault(
        "validation takes the last weights, not the averaged", "vae/training/state.py",
        "return self.ema if self.ema else self.params", "return self.params",
        "tests/training", "tests/evaluation/test_trained.py",
    ),
]  # fmt: skip


def run_tests(tree: Path, *arguments: str) -> tuple[str | None, float]:
    """The first test that fails in a tree, if one does, and the CPU seconds of all."""
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
    env = {**os.environ, "PYTHONPATH": str(tree), "JAX_COMPILATION_CACHE_DIR": cache}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", *OPTIONS, *arguments]
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode not in (0, 1) and not failed:
        raise RuntimeError(f"pytest did not run:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return failed[1] if failed else None, seconds


def copy_of(revision: str, folder: Path) -> Path:
    folder.mkdir()
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", revision], check=True, capture_output=True
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def search(revision: str, faults: list[Fault], control: bool) -> dict[str, Any]:
    """What is found of the faults in a revision, and what its suite costs without one."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="planted-") as temporary:
        for number, each in enumerate(faults):
            tree = copy_of(revision, Path(temporary) / str(number))
            file = tree / each.path
            file.write_text(each.planted(file.read_text()))
            rooms = [test for test in each.tests if (tree / test).exists()]
            by, _ = run_tests(tree, "-x", *rooms)
            by = by or run_tests(tree, "-x", *PARALLEL)[0]
            found[each.name] = by
            print(f"{revision}: {each.name}: {by or 'NOT FOUND'}", flush=True)
        if not control:
            return {"found": found}
        by, seconds = run_tests(copy_of(revision, Path(temporary) / "right"), *PARALLEL)
        print(f"{revision}: without a fault: {by or 'passed'}, {seconds:.0f} CPU s", flush=True)
        return {"found": found, "without a fault": by or "passed", "cpu_seconds": round(seconds)}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--revision", action="append", default=[])
    parser.add_argument("--only", type=lambda text: text.split(","))
    parser.add_argument("--control", action="store_true", help="also run each without a fault")
    flags = parser.parse_args(arguments)
    chosen = [each for each in FAULTS if not flags.only or each.name in flags.only]
    if not chosen:
        parser.error("--only names none of: " + "; ".join(each.name for each in FAULTS))
    result = {
        "command": " ".join(["python -m tests.planted", *arguments]),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "git_revision": runs.git_revision(),
        "versions": {name: metadata.version(name) for name in ("jax", "flax", "pytest")},
        "planted": len(chosen),
        "revisions": {
            revision: search(revision, chosen, flags.control)
            for revision in flags.revision or ["HEAD"]
        },
    }
    if chosen == FAULTS:
        result_files.write("planted_faults", result)
    everything = [by for each in result["revisions"].values() for by in each["found"].values()]
    return 0 if all(everything) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
