"""Reads the data of a run again, for what comes after its training."""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vae import runs
from vae.data import loading, qm9
from vae.data.dataset import Dataset
from vae.errors import UserError


def load(workdir: Path, config: ConfigDict, described: dict[str, Any]) -> Dataset:
    """Loads what the run in `workdir` was trained on.

    Args:
      described: what its `data.json` holds.

    Raises:
      UserError: the data are not there, or their contents have changed.
    """
    path = config.data.path
    if config.data.name == "files" and path and not Path(path).exists():
        raise UserError(
            f"{path}, which {workdir} was trained on, is not there\nwhere it has moved, repeat the "
            f"training command with --workdir={workdir} and the new --config.data.path: contents "
            "are compared, and nothing is trained again"
        )
    dataset = loading.load(config.data)
    check(workdir, config, described, dataset)
    return dataset


def never_first(described: dict[str, Any]) -> tuple[int, ...]:
    """Ids that no sequence of the run's data begins with.

    Args:
      described: what its `data.json` holds; for an older run they follow from its vocabulary.
    """
    found = described.get("never_first")
    return qm9.never_first(described.get("vocabulary", ())) if found is None else tuple(found)


def check(workdir: Path, config: ConfigDict, described: dict[str, Any], dataset: Dataset) -> None:
    """Raises UserError where a data set is not what the run was trained on."""
    runs.check_contents(workdir, config, described.get("contents", ""), dataset.contents)
