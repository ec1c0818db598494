"""All runs under a folder, as a table."""

from pathlib import Path
from typing import Any

from vae import config as configs
from vae import run_files, runs
from vae.errors import UserError


def results(folder: str | Path) -> Any:
    """See `vae.results`."""
    try:
        import pandas
    except ImportError:
        raise UserError("vae.results needs pandas: pip install 'vae[frames]'") from None
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"{folder} is no folder")
    found = (path.parent for path in sorted(root.rglob("config.json")))
    return pandas.DataFrame([row(workdir) for workdir in found])


def row(workdir: Path) -> dict[str, Any]:
    """What a run directory says of its run; of one that cannot be read, why."""
    try:
        config = runs.read_config(workdir)
        records = runs.read_metrics(workdir)
        evaluation = run_files.read_evaluation(workdir) or {}
        failure = runs.failure(workdir)
    except UserError as error:
        return {"workdir": str(workdir), "state": "unreadable", "reason": str(error)}
    last = records[-1] if records else {"step": 0, "epoch": 0.0}
    found: dict[str, Any] = {
        "workdir": str(workdir),
        "state": state(workdir, config, last, failure),
        "step": last["step"],
        "epoch": last["epoch"],
    }
    found |= dict(configs.flatten(config))
    for name, metric in evaluation.get("metrics", {}).items():
        found[name], found[f"{name}_stderr"] = metric["value"], metric.get("stderr")
    return found


def state(workdir: Path, config: Any, last: dict[str, Any], failure: str) -> str:
    """running, failed, done, evaluated or stopped."""
    if runs.holder(workdir):
        return "running"
    if failure:
        return "failed"
    if last["epoch"] < config.train.epochs and not config.train.patience:
        return "stopped"
    return "evaluated" if (workdir / "evaluation.json").exists() else "done"
