"""Keeps the results of finished runs, and writes the tables of the documents from them.

    python -m experiments.record DIRECTORY ...

copies what each evaluated run or sweep measured (metrics with standard errors, config, seed, git
revision, command, versions, hardware, time) to `experiments/results/NAME.json`, NAME being the
directory's, and the pictures that the README shows beside it; then renders the tables between the
markers of README.md and docs/*.md, and experiments/RESULTS.md, from the files in
`experiments/results` alone. Without arguments it only renders.
"""

import json
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from experiments import documents, result_files
from experiments.result_files import RESULTS
from vae import runs
from vae.errors import UserError
from vae.reports import summary

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
    return re.sub(r"[^\s\"]*/vae/sweeps/(trial|worker)\.py", "python -m vae.sweeps.worker", text)


def main(arguments: list[str]) -> int:
    """Records each directory, then renders the documents; returns the exit code."""
    RESULTS.mkdir(exist_ok=True)
    try:
        for workdir in map(Path, arguments):
            is_sweep = (workdir / "sweep.json").exists()
            result = collect_sweep(workdir) if is_sweep else collect(workdir)
            result_files.write(result["name"], result)
            for picture in PICTURES:
                source = workdir / "figures" / f"{picture}.png"
                name = f"{result['name']}-{picture}.png"
                if source.exists() and name in documents.README.read_text():
                    shutil.copyfile(source, RESULTS / name)
        documents.write()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
