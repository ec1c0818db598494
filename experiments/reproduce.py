"""Reproduces a paper's numbers: `python -m vae reproduce NAME [--scale=full|cpu|quick]`.

An experiment is a file of `papers` or `applications` with `study(scale)`. It runs through the
ordinary sweep, so a second call resumes it and any launcher will do; what it found is written to
`results/NAME.json` (`results/NAME-SCALE.json` of a reduced scale), and the tables are made anew
from these files.
"""

import importlib
from pathlib import Path
from typing import Any

import vae
from experiments import documents, result_files
from experiments.protocol import SCALES, Study, compare
from experiments.record import collect_sweep
from experiments.result_tables import comparisons_table
from vae import runs
from vae.choices import choose
from vae.errors import RunError
from vae.reports import figures, summary

MODULES = {
    path.stem: f"experiments.{room}.{path.stem}"
    for room in ("papers", "applications")
    for path in sorted((Path(__file__).parent / room).glob("[!_]*.py"))
}


def load(name: str) -> Any:
    """The module of an experiment.

    Raises:
      UserError: no such experiment.
    """
    return importlib.import_module(choose(MODULES, name, "experiment"))


def reproduce(
    name: str,
    scale: str = "full",
    workdir: str | None = None,
    launcher: str = "",
    data_dir: str = "",
) -> list[dict[str, Any]]:
    """Runs an experiment as far as it is not done, and compares.

    Args:
      scale: "full", the paper's protocol; "cpu", what 2 cores finish in about two and a half
        hours; "quick", minutes.
      workdir: of the sweep; by default runs/NAME-SCALE.
      launcher: by default the experiment's own.
      data_dir: config.data.dir.

    Returns:
      A line for each expected number.

    Raises:
      UserError: no such experiment or scale; data are missing.
      RunError: trials failed, or numbers are outside their tolerance: those that are named.
    """
    module = load(name)
    choose(dict.fromkeys(SCALES), scale, "scale")
    study = module.study(scale)
    study.config.data.dir = data_dir or study.config.data.dir
    directory = workdir or f"runs/{name}-{scale}"
    vae.sweep(
        study.config, study.grid, seeds=study.seeds, workdir=directory,
        launcher=launcher or study.launcher,
    )  # fmt: skip
    result = collect(name, scale, study, Path(directory), module.__doc__)
    path = result_files.write(result_files.file_name(name, scale), result)
    if study.picture:
        picture = study.picture(result["beside"], Path(directory))
        figures.save(picture, path.with_suffix(".png"))
    documents.write()
    print(f"\n{comparisons_table(result)}\n\n  {path}", flush=True)
    missed = [line["what"] for line in result["comparisons"] if not line["holds"]]
    if missed:
        raise RunError(f"{name}: outside the tolerance: {'; '.join(missed)}")
    return result["comparisons"]


def collect(name: str, scale: str, study: Study, directory: Path, about: str) -> dict[str, Any]:
    """What is written: the sweep's trials, and the comparisons."""
    sweep = runs.read_json(directory / "sweep.json")
    trials = [
        {**trial, "per_example": directory / "trials" / trial["trial"] / "per_example.npz"}
        for trial in summary.done(summary.rows(sweep, directory))
    ]
    names = [trial["trial"] for trial in trials]
    beside = study.beside(trials, directory) if study.beside else []
    return {
        "experiment": name,
        "scale": scale,
        "about": about.strip().splitlines()[0],
        "reduced": study.reduced,
        "sweep": collect_sweep(directory),
        "curves": {name: _curve(directory / "trials" / name) for name in names},
        "beside": beside,
        "comparisons": compare(study.expected, [*trials, *beside]),
    }


def _curve(workdir: Path) -> list[list[float]]:
    """Epoch and validation ELBO at beta = 1, at most 60 points: where a trial is heading."""
    points = [
        [round(r["epoch"], 3), round(r["elbo"], 3)]
        for r in runs.read_metrics(workdir)
        if r.get("split") == "validation" and r.get("elbo") is not None
    ]
    return points[:: -(-len(points) // 60)] if points else []
