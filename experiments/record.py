"""Keeps the results of finished runs, and writes the tables of the documents from them.

    python -m experiments.record DIRECTORY ...

copies what each evaluated run or sweep measured (metrics with standard errors, config, seed, git
revision, command, versions, hardware, time) to `experiments/results/NAME.json`, NAME being the
directory's, and the pictures that the README shows beside it; then renders the tables between the
markers of README.md and docs/*.md, and experiments/RESULTS.md, from the files in
`experiments/results` alone. Without arguments it only renders.
"""

import functools
import json
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from experiments import methods
from experiments.protocol import SCALES
from vae import runs
from vae.errors import UserError, needed
from vae.evaluation.metrics import declared
from vae.reports import summary
from vae.reports.tables import format_table, format_value

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "experiments" / "results"
README, PAGE = ROOT / "README.md", ROOT / "experiments" / "RESULTS.md"
DOCUMENTS = (README, *sorted((ROOT / "docs").glob("*.md")))  # with places for tables
PICTURES = ("samples", "traversals", "rate_distortion")  # of the figures, those the README shows


def collect(workdir: Path) -> dict[str, Any]:
    """What a run directory says of its result.

    Raises:
      UserError: the run has not been evaluated.
    """
    evaluation = runs.read_json(workdir / "evaluation.json")
    environment = runs.read_json(workdir / "environment.json")
    records = [r for r in runs.read_metrics(workdir) if r["split"] == "train"]
    config = runs.read_config(workdir)
    result = {
        "name": workdir.resolve().name,
        "recorded": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "training": environment,
        "training_seconds": round(runs.training_seconds(workdir), 1),
        "epochs": records[-1]["epoch"],
        "evaluation": evaluation,
        "config": config.to_dict(),
    }
    return json.loads(_portable(json.dumps(result), config.data.dir, workdir))


def collect_sweep(directory: Path) -> dict[str, Any]:
    """What a sweep's directory says of its result: every trial's metrics."""
    sweep = runs.read_json(directory / "sweep.json")
    rows = summary.rows(sweep, directory)
    trials = [row | _made(directory / "trials" / row["trial"]) for row in rows]
    result = {
        "name": directory.resolve().name,
        "recorded": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "training": sweep["environment"],
        "launcher": sweep["launcher"],
        "keys": sweep["keys"],
        "facts": {name: summary.about(rows, name) for name in summary.metric_names(rows)},
        "trials": [{k: v for k, v in trial.items() if k != "facts"} for trial in trials],
        "config": sweep["config"],
    }
    return json.loads(_portable(json.dumps(result), sweep["config"]["data"]["dir"], directory))


def trials(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """A recorded sweep's trials, as `summary.rows` gives them. What its metrics are is as it was
    recorded, or, of those that were recorded without, as they are declared now."""
    names = summary.metric_names(sweep["trials"])
    known = {name: kind.facts() for name in names if (kind := declared(name))}
    return [trial | {"facts": known | sweep.get("facts", {})} for trial in sweep["trials"]]


def _made(workdir: Path) -> dict[str, Any]:
    """The revision that a trial ran at, and the KL of each layer of one that has several."""
    found = {}
    if (workdir / "environment.json").exists():
        found["git_revision"] = runs.read_json(workdir / "environment.json")["git_revision"]
    if (workdir / "evaluation.json").exists():
        arrays = runs.read_json(workdir / "evaluation.json").get("arrays", {})
        if "kl_per_layer" in arrays:
            found["kl_per_layer"] = arrays["kl_per_layer"]
    return found


def _portable(text: str, data_dir: str, workdir: Path) -> str:
    """Writes the paths that are this machine's own as a reader would type them."""
    text = text.replace(str(workdir), f"runs/{workdir.name}")
    text = text.replace(data_dir, "DATA") if data_dir else text
    text = re.sub(r"[^\s\"]*/vae/__main__\.py", "python -m vae", text)
    return re.sub(r"[^\s\"]*/vae/sweeps/trial\.py", "python -m vae.sweeps.trial", text)


def row(result: dict[str, Any]) -> dict[str, str]:
    """One line of the table."""
    config, metrics = result["config"], result["evaluation"]["metrics"]

    def shown(name: str) -> str:
        return format_value(metrics[name]["value"], metrics[name]["stderr"])

    kind = config["model"]["name"].replace("vae", config["model"]["encoder"])
    latents = len(result["evaluation"]["arrays"]["posterior_mean_variance"])
    nll = needed(summary.tightest_nll([result["evaluation"]]), "nll_iwae")
    return {
        "config": f"`configs/{result['name']}.py`",
        "model": f"{kind}, {latents:,} latents",
        "epochs": f"{result['epochs']:g}",
        "test ELBO": shown("elbo"),
        "test NLL": f"{shown(nll)} (K = {_samples(nll):,})",
        "active": shown("active_units"),
        "seconds": f"{result['training_seconds']:,.0f}",
    }


def _samples(name: str) -> int:
    return int(name.rpartition("_")[2])


def recorded(pattern: str = "*.json") -> list[dict[str, Any]]:
    """What the files of results hold, in order of their names."""
    return [runs.read_json(path) for path in sorted(RESULTS.glob(pattern))]


def runs_table() -> str:
    """All recorded runs."""
    return format_table([row(r) for r in recorded() if "evaluation" in r], markdown=True)


def benchmark_table() -> str:
    """The recorded benchmark, and the machine that it ran on."""
    result = runs.read_json(RESULTS / "benchmark.json")
    gflops = " and ".join(f"{v:g} ({k.partition('-')[2]})" for k, v in result["gflops"].items())
    machine = f"{result['machine']['processor']}; float32 products at {gflops} GFLOP/s."
    return f"{format_table(result['rows'], markdown=True)}\n\n{machine}"


def sweeps_table() -> str:
    """The recorded sweeps, each with a line of what it was."""
    parts = []
    for result in recorded():
        if "trials" not in result or "keys" not in result:
            continue
        config = result["config"]
        what = f"`{result['name']}`: {config['data']['name']}, {config['train']['epochs']} epochs a"
        what += f" trial, {len(result['trials'])} trials by `--launcher={result['launcher']}`"
        shown = columns(trials(result), result["keys"])
        table = summary.summary_table(*shown, markdown=True)
        parts += [f"{what}:", table, *further(*shown)]
        layers = {trial["trial"]: trial.get("kl_per_layer") for trial in result["trials"]}
        told = [f"{name} {_sum(kl)}" for name, kl in layers.items() if kl]
        if told:
            parts.append(f"Rate by layer, the one next to x first: {'; '.join(told)}.")
    return "\n\n".join(parts)


def further(trials: list[dict], keys: list[str]) -> list[str]:
    """The metrics that the table before leaves out, a line each, where they outnumber its lines."""
    shown = summary.headline(trials)
    names = [name for name in summary.metric_names(trials) if name not in shown]
    groups = summary.over_seeds(trials, keys, names)
    if len(names) <= len(groups):
        return []
    others = [key for key in keys if key != "seed"]
    short = {key: summary.short_name(key, keys) for key in others}
    heads = [", ".join(f"{short[k]} = {summary.show(g[k])}" for k in others) for g in groups]
    lines = []
    for name in names:
        texts = summary.texts([group[name] for group in groups])
        lines.append({"metric": name, **dict(zip(heads, texts, strict=True))})
    return [format_table(lines, markdown=True)]


def _sum(values: list[float]) -> str:
    return " + ".join(f"{value:.1f}" for value in values)


def columns(trials: list[dict], keys: list[str]) -> tuple[list[dict], list[str]]:
    """Trials and the keys to show: one column, of what each sets, where they set different keys."""
    if all(trial["trial"].count("=") == len(keys) for trial in trials):
        return trials, keys
    return [trial | {"values": {"trial": trial["trial"]}} for trial in trials], ["trial"]


def speed_table() -> str:
    """The recorded times of a step of every trial of a study."""
    parts = []
    for result in recorded("*_speed.json"):
        what = f"Batch {result['batch_size']}, one device; {result['machine']}."
        parts += [format_table(result["rows"], markdown=True), what]
    return "\n\n".join(parts)


def sweep_benchmark_table() -> str:
    """The recorded wall times of a sweep."""
    result = runs.read_json(RESULTS / "sweep_benchmark.json")
    epochs = f"{result['trials']['epochs']} epochs a trial; {result['machine']['processor']}."
    return f"{format_table(result['rows'], markdown=True)}\n\n{epochs}"


def start_time_table() -> str:
    """The recorded times of warm commands."""
    result = runs.read_json(RESULTS / "start_time.json")
    told = f"Medians of {result['rounds']} runs, revision {result['git_revision']}"
    told += f", before: {result['against']}" if result["against"] else ""
    machine = result["machine"]["processor"]
    return f"{format_table(result['rows'], markdown=True)}\n\n{told}; {machine}."


def papers_table() -> str:
    """The recorded reproductions of papers, a line each."""
    return _held(reproductions(applications=False))


def applications_table() -> str:
    """The recorded applications, a line each."""
    return _held(reproductions(applications=True))


def _held(results: list[dict[str, Any]]) -> str:
    """What each experiment is about, and how many of its expectations hold at which scale."""
    lines: dict[str, dict[str, str]] = {}
    for result in sorted(results, key=lambda r: (r["experiment"], SCALES.index(r["scale"]))):
        name, comparisons = f"`{result['experiment']}`", result["comparisons"]
        about = re.sub(r"(, (table|figure).*)|\.$", "", result["about"].partition(": ")[0])
        line = lines.setdefault(name, {"experiment": name, "about": about, "numbers held": ""})
        held = sum(comparison["holds"] for comparison in comparisons)
        line["numbers held"] += ", " * bool(line["numbers held"])
        line["numbers held"] += f"{held} of {len(comparisons)} ({result['scale']})"
    return format_table(list(lines.values()), markdown=True)


def reproductions(applications: bool) -> list[dict[str, Any]]:
    """Every recorded experiment that is an application, or that reproduces a paper, by name."""
    found = [result for result in recorded() if "experiment" in result]
    return [r for r in found if r["experiment"].startswith("apps_") == applications]


def file_name(name: str, scale: str) -> str:
    """Of an experiment's result, without the suffix."""
    return name if scale == "full" else f"{name}-{scale}"


def minutes(result: dict[str, Any]) -> float:
    """That an experiment's trials took, one after the other."""
    return sum(trial["seconds"] or 0.0 for trial in result["sweep"]["trials"]) / 60


def application_table(name: str) -> str:
    """The methods of an application at the largest scale that is recorded, and their picture."""
    results = [r for r in reproductions(applications=True) if r["experiment"] == name]
    result = min(results, key=lambda r: SCALES.index(r["scale"]))
    made, lines = result["sweep"]["training"], result["comparisons"]
    scale = "" if result["scale"] == "full" else f" --scale={result['scale']}"
    told = f"`{name}{scale}`, revision {made['git_revision']}"
    told += f"; {result['reduced']}" if result["reduced"] else ""
    held = sum(line["holds"] for line in lines)
    told += f"; trials of {minutes(result):,.1f} minutes together. {held} of {len(lines)} "
    told += "numbers expected of it hold: [RESULTS.md](experiments/RESULTS.md)."
    file = file_name(name, result["scale"])
    image = f'<img src="experiments/results/{file}.png" width="70%" alt="{name}">'
    return "\n\n".join([methods.overview(result["beside"]), told, image])


APPLICATIONS = (
    "apps_generation", "apps_generation_color", "apps_augmentation", "apps_augmentation_table",
    "apps_anomaly", "apps_left_out", "apps_molecules", "apps_recommendation",
)  # fmt: skip
TABLES = {
    "runs": runs_table, "benchmark": benchmark_table, "papers": papers_table,
    "applications": applications_table,
} | {
    name: functools.partial(application_table, name)
    for name in APPLICATIONS
    if any((RESULTS / f"{file_name(name, scale)}.json").exists() for scale in SCALES)
}  # fmt: skip


if (RESULTS / "start_time.json").exists():
    TABLES["start_time"] = start_time_table


def markers(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def render(text: str, up: str = "") -> str:
    """A document's text with every table that it has a place for made anew.

    Args:
      up: the way from the document's folder to the root.
    """
    for name, table in TABLES.items():
        begin, end = markers(name)
        before, found, rest = text.partition(begin)
        if found:
            made = re.sub(r'(\]\(|src=")experiments/', rf"\1{up}experiments/", table())
            text = f"{before}{begin}\n{made}\n{end}{rest.partition(end)[2]}"
    return text


def rendered() -> dict[Path, str]:
    """Every document's text, its tables made anew."""
    return {
        path: render(path.read_text(), "../" * (len(path.relative_to(ROOT).parts) - 1))
        for path in DOCUMENTS
    }


def write() -> None:
    """Writes the documents and RESULTS.md anew."""
    from experiments import results_page

    for path, text in rendered().items():
        runs.write_atomic(path, text)
    runs.write_atomic(PAGE, results_page.render())


def main(arguments: list[str]) -> int:
    RESULTS.mkdir(exist_ok=True)
    try:
        for workdir in map(Path, arguments):
            is_sweep = (workdir / "sweep.json").exists()
            result = collect_sweep(workdir) if is_sweep else collect(workdir)
            runs.write_json(RESULTS / f"{result['name']}.json", result)
            for picture in PICTURES:
                source = workdir / "figures" / f"{picture}.png"
                name = f"{result['name']}-{picture}.png"
                if source.exists() and name in README.read_text():
                    shutil.copyfile(source, RESULTS / name)
        write()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
