"""Holds what runs compute, bit for bit, while the code around them changes.

    python -m tests.unchanged --output=F.json      before a change
    python -m tests.unchanged --against=F.json     after it, on the same machine

Trains and evaluates a small run of every kind by the command line. F.json has a digest of each
run's weights, moments of the optimiser and all, and every metric and array of its evaluation.
"""

import argparse
import contextlib
import hashlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

import vae
from tests.helpers import last_state
from vae.__main__ import main as command

SMALL = {
    "data.size": 300, "model.hidden": (6,), "model.latent_size": 3, "model.filters": (3,),
    "model.dense": 4, "model.flow_hidden": (4,), "model.flow_layers": 2, "objective.samples": 2,
    "train.epochs": 2, "train.eval_epochs": 1.0, "eval.iwae_samples": (2,),
    "eval.elbo_samples": 2, "eval.ais_examples": 3, "eval.ais_temperatures": 3,
    "eval.ais_chains": 2, "eval.ais_leapfrogs": 2, "eval.local_steps": 2, "eval.local_draws": 1,
    "eval.codes": 60, "train.parallel": "jit",
}  # fmt: skip
GREY = {"data.binarization": "none"}
LAYERS = {"model.upper_sizes": (2,), "model.layer_hidden": (4,)}
CODES = {
    "model.name": "vqvae", "objective.name": "vq", "model.codes": 8, "model.prior_width": 8,
    "model.prior_depth": 1,
}  # fmt: skip
LABELS = {"data.context": "labels"}
CONV = {"model.encoder": "conv", "model.decoder": "conv"}
RESNET = {"model.encoder": "resnet", "model.decoder": "resnet"}
RUNS: dict[str, dict[str, Any]] = {
    "elbo": {"eval.metrics": ("aggregate", "ais", "bdmc", "gaps", "probes")},
    "iwae": GREY | RESNET | {
        "objective.name": "iwae", "model.likelihood": "gaussian_learned", "train.ema": 0.9,
        "optimizer.name": "adamw", "optimizer.weight_decay": 0.01,
    },
    "beta_tcvae": CONV | {
        "objective.name": "beta_tcvae", "objective.beta": 4.0,
        "train.parallel": "pmap", "objective.beta_schedule": "linear",
        "objective.beta_epochs": 1.0,
    },
    "factor_vae": {"objective.name": "factor_vae", "objective.critic_hidden": (5,)},
    "info_vae": GREY | {"objective.name": "info_vae", "model.likelihood": "discretized_logistic"},
    "dip": {"objective.name": "dip_ii", "optimizer.clip_norm": 0.1},
    "sigma_vae": GREY | {"objective.name": "sigma_vae", "model.likelihood": "gaussian_learned"},
    "dreg": {"objective.name": "dreg", "model.posterior": "full_covariance"},
    "chain": LAYERS | {"model.name": "chain", "objective.name": "free_bits"},
    "ladder": LAYERS | {"model.name": "ladder", "train.parallel": "pmap"},
    "top_down": {
        "train.parallel": "pmap", "model.name": "top_down", "model.filters": (3, 3),
        "model.groups": (1, 2), "model.latent_size": 2,
    },
    "vqvae": CODES,
    "codebook": CODES | CONV | {"model.codebook_update": "gradient", "model.dense": 0},
    "realnvp": {"model.prior": "realnvp", "model.posterior": "iaf"},
    "vamp": {"model.prior": "vamp", "model.prior_components": 4},
    "sphere": {"model.posterior": "von_mises_fisher", "model.prior": "sphere"},
    "m2": LABELS | {"objective.name": "m2", "data.labelled": 20, "model.classifier": "mlp"},
    "conditional": LABELS | {"model.prior": "conditional"},
    "counts": {
        "data.name": "files", "data.path": "counts.npy", "data.binarization": "none",
        "model.likelihood": "negative_binomial", "data.size": 0, "data.kind": "counts",
    },
    "tokens": {
        "data.name": "files", "data.path": "tokens.npz", "data.binarization": "none",
        "data.kind": "tokens", "model.likelihood": "categorical_tokens", "model.encoder": "gru",
        "model.decoder": "gru", "data.size": 0, "model.word_dropout": 0.3,
    },
}  # fmt: skip


def write_data(folder: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(folder / "counts.npy", rng.negative_binomial(3, 0.3, (200, 6)))
    tokens = rng.integers(1, 5, (200, 7)) * (np.arange(7) < rng.integers(2, 8, (200, 1)))
    np.savez(folder / "tokens.npz", train=tokens.astype(np.uint8))


def digest(arrays: dict[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def numbers(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Values and standard errors by metric, and the arrays."""
    metrics = {
        name: [metric["value"], metric.get("stderr")]
        for name, metric in evaluation["metrics"].items()
    }
    return {"metrics": metrics, "arrays": evaluation.get("arrays", {})}


def run(name: str, folder: Path) -> dict[str, Any]:
    """What one run computes."""
    settings = SMALL | RUNS[name]
    if settings.get("data.path"):
        settings["data.path"] = str(folder / settings["data.path"])
    flags = ["--config=configs/base.py", *(f"--config.{k}={v}" for k, v in settings.items())]
    workdir = folder / name
    for words in (["train", *flags, f"--workdir={workdir}"], ["evaluate", f"--workdir={workdir}"]):
        with contextlib.redirect_stdout(io.StringIO()):
            if command(words):
                raise SystemExit(f"{name}: {words[0]} failed")
    trained = vae.load(workdir)
    x, context = trained.examples("test", 5), trained.context("test", 5)
    decoded = trained.decode(trained.encode(x, context)[0], context)
    evaluation = json.loads((workdir / "evaluation.json").read_text())
    found = {"state": digest(last_state(workdir)), "decoded": digest({"": np.asarray(decoded)})}
    return found | numbers(evaluation)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(RUNS))
    flags = parser.parse_args(arguments)
    before = json.loads(flags.against.read_text()) if flags.against else None
    found: dict[str, Any] = {}
    jax.config.update("jax_num_cpu_devices", 2)  # for those of train.parallel=pmap
    with tempfile.TemporaryDirectory(prefix="unchanged-") as temporary:
        folder = Path(temporary)
        write_data(folder)
        for name in flags.only:
            found[name] = json.loads(json.dumps(run(name, folder)))
            jax.clear_caches()
            if before is not None:
                parts = [key for key in found[name] if found[name][key] != before[name].get(key)]
                print(f"{name}: {'CHANGED: ' + ', '.join(parts) if parts else 'the same'}")
            else:
                print(name, flush=True)
    if flags.output:
        flags.output.write_text(json.dumps(found) + "\n")
    return int(before is not None and any(found[name] != before[name] for name in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
