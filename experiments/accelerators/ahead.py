"""Every config, objective, prior, posterior, model and estimator, compiled for each target."""

import importlib
import pkgutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments import result_files
from experiments.accelerators import rows
from vae import configs as shipped
from vae import runs
from vae.hardware import targets
from vae.reports.tables import format_table

TARGETS = ["v5e:2x2", "h100:2"]
SWEEPS = ("models", "objectives")  # configs whose sweeps are the parts below
BATCH = 128
SMALL = ("--config=digits", "--config.model.hidden=(64,)", f"--config.train.batch_size={BATCH}")
KEPT = (
    "compiled", "reason", "compile_seconds", "needed_bytes", "temporary_bytes", "flops",
    "moved_bytes", "collectives", "collective_bytes",
)


def main(names: list[str], data_dir: str, workdir: str, minutes: float, again: bool) -> int:
    """Compiles what results/accelerators.json has not, and writes it.

    Args:
      minutes: after which no further program is compiled; what is left, a later call takes.
      again: compile what is recorded too.
    """
    ends = time.monotonic() + 60.0 * minutes
    recorded = {} if again else _recorded()
    found: list[dict[str, Any]] = []
    left = 0
    for name in names:
        target = targets.parse(name)
        # The small first, for who has few minutes.
        for what, command in (*_parts(target), *_others(target), *_configs(target, data_dir)):
            shown = rows.shown(command, data_dir)
            path = Path(workdir) / name.replace(":", "-") / f"{what.replace(' ', '-')}.json"
            if shown in recorded:
                found += recorded[shown]
            elif path.exists() or time.monotonic() < ends:
                found += _rows(name, what, rows.compiled(path, command, data_dir))
            else:
                left += 1
    print(_table(found))
    result_files.write(
        "accelerators",
        {
            **runs.environment(),
            "command": "python -m experiments.accelerators --data_dir=DATA",
            "left": left,
            "rows": found,
        },
    )
    return 0


def _recorded() -> dict[str, list[dict[str, Any]]]:
    """Rows of the result that is there, by command, of commands whose programs all compiled."""
    path = result_files.RESULTS / "accelerators.json"
    by_command: dict[str, list[dict[str, Any]]] = {}
    for row in result_files.read(path)["rows"] if path.exists() else ():
        by_command.setdefault(row["command"], []).append(row)
    return {
        command: found for command, found in by_command.items()
        if all(row["compiled"] for row in found)
    }  # fmt: skip


def _others(target: targets.Target) -> Iterator[tuple[str, list[str]]]:
    """Evaluation's functions, and the products that only a GPU's compiler refuses."""
    for other in ("evaluation", *(["triton"] if target.platform == "cuda" else [])):
        yield other, [f"experiments.accelerators.{other}", f"--target={target.name}"]


def _configs(target: targets.Target, data_dir: str) -> Iterator[tuple[str, list[str]]]:
    """A run and a population of each config of `configs/`."""
    for module in pkgutil.iter_modules(shipped.__path__):
        if module.name in ("base", *SWEEPS):
            continue
        config = importlib.import_module(f"vae.configs.{module.name}").get_config()
        size = config.train.batch_size
        batch = size - size % target.count or target.count
        command = ["vae", "plan", f"--config={module.name}", f"--target={target.name}"]
        if config.data.name == "files":  # somebody's images: others of their size
            command.append("--config.data.name=cifar10")
        if config.data.name not in ("digits", "sprites"):
            command.append(f"--config.data.dir={data_dir}")
        seeds = f"--seeds={2 * target.count}"
        spread = [f"--config.train.batch_size={batch}"] * (batch != size)
        yield f"{module.name} run", [*command, "--config.train.parallel=auto", *spread]
        yield f"{module.name} population", [*command, seeds]


def _parts(target: targets.Target) -> Iterator[tuple[str, list[str]]]:
    """A run and a population of each point of the sweeps over parts, on one small network."""
    for name in SWEEPS:
        study = importlib.import_module(f"vae.configs.{name}")
        settings = _differences(study.get_config())
        seen: dict[str, int] = {}
        for point in study.get_sweep():
            changes = settings | point | _small(point)
            chosen = "-".join(str(v) for v in point.values() if isinstance(v, str)) or "plain"
            seen[chosen] = seen.get(chosen, 0) + 1
            if seen[chosen] > 1 or "data.context" in point:
                continue  # the same part with other numbers; digits has no such context
            command = [
                "vae", "plan", *SMALL, f"--target={target.name}",
                *(f"--config.{key}={value}" for key, value in changes.items()),
            ]  # fmt: skip
            yield f"{name} {chosen} run", [*command, "--config.train.parallel=auto"]
            yield f"{name} {chosen} population", [*command, f"--seeds={2 * target.count}"]


def _differences(config: Any) -> dict[str, Any]:
    """The model and objective keys in which a study differs from the config it is made from."""
    from vae import config as flat
    from vae.configs import mnist

    before = dict(flat.flatten(mnist.get_config()))
    return {
        key: value for key, value in flat.flatten(config)
        if value != before[key] and key.startswith(("model.", "objective."))
    }  # fmt: skip


def _small(point: dict[str, Any]) -> dict[str, Any]:
    """Sizes that suit 8 x 8 images, where a point sets larger ones."""
    changes: dict[str, Any] = {}
    for key, value in point.items():
        if key == "model.filters":
            changes[key] = tuple(min(width, 16) for width in value)
        elif key in ("model.latent_size", "model.prior_components"):
            changes[key] = min(value, 16)
        elif key == "model.upper_sizes":
            changes[key] = tuple(min(size, 8) for size in value)
    return changes


def _rows(target: str, what: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one process: of each program it compiled."""
    same = {"target": target, "command": result["command"]}
    revision = {"git_revision": result.get("git_revision", "")}
    if "error" in result:
        failed = {"compiled": False, "reason": result["error"]}
        return [same | {"what": what} | failed | revision]
    return [
        same
        | {"what": f"{what} {each['name']}" if "name" in each else what}
        | {key: each[key] for key in KEPT if key in each}
        | revision
        for each in result["programs"]
    ]


def _table(found: list[dict[str, Any]]) -> str:
    lines = [
        {
            "target": row["target"],
            "what": row["what"],
            "compiled": f"{row['compile_seconds']:.0f} s" if row["compiled"] else "no",
            "collectives": sum(row.get("collectives", {}).values()),
            "reason": row.get("reason", "")[:60],
        }
        for row in found
    ]
    done = sum(row["compiled"] for row in found)
    return f"{format_table(lines)}\n\n{done} of {len(found)} compiled"
