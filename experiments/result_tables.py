"""The tables of the documents, each from the files of results alone."""

import functools
import re
from typing import Any

from experiments import result_files, side_by_side
from experiments.protocol import SCALES
from experiments.result_files import RESULTS, file_name, recorded, reproductions
from vae.errors import needed
from vae.metrics import declared
from vae.reports import summary
from vae.reports.tables import format_table, format_value


def _run(result: dict[str, Any]) -> dict[str, str]:
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


def trials(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """A recorded sweep's trials, as `summary.rows` gives them. The facts of its metrics are those
    recorded with it, or else those declared now."""
    names = summary.metric_names(sweep["trials"])
    known = {name: kind.facts() for name in names if (kind := declared(name))}
    return [trial | {"facts": known | sweep.get("facts", {})} for trial in sweep["trials"]]


def runs_table() -> str:
    """All recorded runs."""
    return format_table([_run(r) for r in recorded() if "evaluation" in r], markdown=True)


def benchmark_table() -> str:
    """The recorded benchmark, and the machine that it ran on."""
    result = result_files.read(RESULTS / "benchmark.json")
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
    result = result_files.read(RESULTS / "sweep_benchmark.json")
    epochs = f"{result['trials']['epochs']} epochs a trial; {result['machine']['processor']}."
    return f"{format_table(result['rows'], markdown=True)}\n\n{epochs}"


def start_time_table() -> str:
    """The recorded times of warm commands."""
    result = result_files.read(RESULTS / "start_time.json")
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
    for result in results:
        name, comparisons = f"`{result['experiment']}`", result["comparisons"]
        about = re.sub(r"(, (table|figure).*)|\.$", "", result["about"].partition(": ")[0])
        line = lines.setdefault(name, {"experiment": name, "about": about, "numbers held": ""})
        held = sum(comparison["holds"] for comparison in comparisons)
        line["numbers held"] += ", " * bool(line["numbers held"])
        line["numbers held"] += f"{held} of {len(comparisons)} ({result['scale']})"
    return format_table(list(lines.values()), markdown=True)


def minutes(result: dict[str, Any]) -> float:
    """That an experiment's trials took, one after the other."""
    return sum(trial["seconds"] or 0.0 for trial in result["sweep"]["trials"]) / 60


def application_table(name: str) -> str:
    """The methods of an application at the largest scale that is recorded, and their picture."""
    result = next(r for r in reproductions(applications=True) if r["experiment"] == name)
    made, lines = result["sweep"]["training"], result["comparisons"]
    scale = "" if result["scale"] == "full" else f" --scale={result['scale']}"
    told = f"`{name}{scale}`, revision {made['git_revision']}"
    told += f"; {result['reduced']}" if result["reduced"] else ""
    held = sum(line["holds"] for line in lines)
    told += f"; trials of {minutes(result):,.1f} minutes together. {held} of {len(lines)} "
    told += "numbers expected of it hold: [RESULTS.md](experiments/RESULTS.md)."
    file = file_name(name, result["scale"])
    image = f'<img src="experiments/results/{file}.png" width="70%" alt="{name}">'
    return "\n\n".join([side_by_side.overview(result["beside"]), told, image])


def comparisons_table(result: dict[str, Any], markdown: bool = False) -> str:
    """Ours beside the expected numbers."""
    return format_table([comparison(line) for line in result["comparisons"]], markdown=markdown)


def comparison(line: dict[str, Any]) -> dict[str, str]:
    """One line of the table."""
    sign = {"within": "", "below": "≤ ", "above": "≥ "}[line["kind"]]
    tolerance = f" ± {line['tolerance']:g}" if line["tolerance"] else ""
    return {
        "what": line["what"],
        "ours": format_value(line["ours"], line["stderr"]),
        "expected": f"{sign}{line['expected']:g}{tolerance}",
        "unit": line["unit"],
        "known": line["known"],
        "holds": "yes" if line["holds"] else "NO",
    }


APPLICATIONS = (
    "apps_generation", "apps_generation_color", "apps_latents", "apps_images",
    "apps_augmentation", "apps_augmentation_table", "apps_anomaly", "apps_left_out",
    "apps_molecules", "apps_recommendation", "apps_imputation", "apps_tables", "apps_cells", "bits",
    "bits_color",
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


