"""What `experiments/RESULTS.md` holds: papers and studies, from the files of results alone."""

from typing import Any

from experiments import result_tables as tables
from experiments import side_by_side
from experiments.result_files import ROOT, reproductions
from vae.reports import summary
from vae.reports.tables import format_table

PAPERS = """# Results

Written by `./launch.sh reproduce NAME` and `python -m experiments.record` from the files in
`experiments/results`; no number here was typed.

# Papers

"Expected" is a paper's number with the tolerance that it is held to, or a bound of this project's;
"known" says how it is known. A schedule that is not the paper's says so above its table.
"""
APPLICATIONS = """# Applications

Each method's settings are chosen on validation data; ± is the standard error over seeds or draws,
or, of a single one, over examples.
"""
STUDIES = """# Studies

± is the standard error over seeds. `seconds` of `objectives` and `models` were taken beside other
work: times of their steps are below. `wae`, `rae` and `autoencoder` minimise no bound: their
posterior's variance is not learnt, and their likelihoods say so. Nats of p(x|y) (`context`) and
of codes (`vqvae`) are not beside the others.
"""
SWEEPS = """## Wall time of a sweep

From the start of a process to the end of training (`.venv/bin/python -m
experiments.benchmarks.sweep_time`).
"""
SPEED = """## Time of a training step

Of each trial of a study, in turns (`.venv/bin/python -m experiments.benchmarks.step_speed STUDY`).
"""


def render() -> str:
    """The page."""
    parts = [
        PAPERS, *map(section, reproductions(applications=False)),
        APPLICATIONS, *map(section, reproductions(applications=True)),
        STUDIES, tables.sweeps_table(), SWEEPS, tables.sweep_benchmark_table(),
        SPEED, tables.speed_table(),
    ]  # fmt: skip
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def section(result: dict[str, Any]) -> str:
    """One experiment at one scale: what it was, ours beside the expected, every trial."""
    sweep = result["sweep"]
    made = sweep["training"]
    name = result["experiment"] + ("" if result["scale"] == "full" else f", {result['scale']}")
    machine = f"{made['cpu_count']} cores" if made["devices"][0] == "cpu" else made["devices"][0]
    revisions = {trial.get("git_revision", made["git_revision"]) for trial in sweep["trials"]}
    others = sorted(revisions - {made["git_revision"]})
    revision = made["git_revision"] + (f" (trials of {', '.join(others)} among it)" * bool(others))
    about = (
        f"{result['about']}\n\nRevision {revision}, {made['time'][:10]}; "
        f"{len(sweep['trials'])} trials, {sweep['config']['train']['epochs']} epochs each unless "
        f"the table says otherwise, {tables.minutes(result):,.0f} minutes of trials on {machine}. "
        f"Protocol, and what differs from it: {_source(result['experiment'])}."
    )
    reduced = [f"**Reduced schedule**: {result['reduced']}"] if result["reduced"] else []
    found = tables.trials(sweep)
    trials = summary.summary_table(found, sweep["keys"], markdown=True)
    further = tables.further(*tables.columns(found, sweep["keys"]))
    sources = dict.fromkeys(line["source"] for line in result["comparisons"] if line["source"])
    told = [f"Sources: {'; '.join(sources)}."] if sources else []
    ours = tables.comparisons_table(result, markdown=True)
    beside = []
    if result.get("beside"):
        beside = ["Methods on the same data, over seeds:", side_by_side.table(result["beside"])]
    return "\n\n".join(
        [f"## {name}", about, *reduced, ours, *told, *beside, trials, *further, *_curves(result)]
    )


def _source(experiment: str) -> str:
    """A link to the file of an experiment; its name alone where there is none any more."""
    name = f"{experiment}.py"
    found = sorted((ROOT / "experiments").glob(f"*/{name}"))
    return f"[{name}]({found[0].parent.name}/{name})" if found else name


def _curves(result: dict[str, Any]) -> list[str]:
    """Validation ELBO at each quarter of a reduced schedule: where trials are heading."""
    if not result["reduced"]:
        return []
    rows = []
    for name, points in result["curves"].items():
        if len(points) < 4:
            continue
        last = points[-1][0]
        row = {"trial": name}
        for share in (0.25, 0.5, 0.75, 1.0):
            epoch, elbo = min(points, key=lambda point: abs(point[0] - share * last))
            row[f"{share:.0%}"] = f"{elbo:.2f} (epoch {epoch:g})"
        rows.append(row)
    if not rows:
        return []
    return ["Validation ELBO (nats) along the schedule:", format_table(rows, markdown=True)]
