"""The device at hand: does it compute what a CPU does, how fast, and how many trials at once.

Under ten minutes on a GPU. Random images of MNIST's shape; the PyTorch loops of
`experiments.benchmarks.contestants` beside, eager and compiled, where PyTorch is installed. Writes
results/accelerators_device.json.
"""

import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from experiments import result_files
from experiments.benchmarks import contestants
from vae import runs
from vae.reports.tables import format_table

STEPS, ROUNDS = 200, 5
TRIALS = (1, 8, 24, 64)
MODELS = ("mlp", "conv", "top_down")
DTYPES = ("float32", "bfloat16")
ROUNDED = 2.0**-11  # TF32's, in which a GPU multiplies what is float32
APART = 10 * ROUNDED  # of a gradient's norm, that float32 may be from a CPU's
TIMES = 2.0  # what bfloat16 here may be from float32, beside what it is from it on a CPU


def main() -> int:
    """Measures, prints the tables and writes the result; 1 where the device computes otherwise."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, (50_000, 28, 28, 1), dtype=np.uint8)
    agreement = [_agreement(model, dtype, raw) for model in MODELS for dtype in DTYPES]
    print(format_table(agreement), flush=True)
    throughput = [*_throughput(raw)]
    print(format_table(throughput), flush=True)
    populations = [*_populations(raw)]
    print(format_table(populations), flush=True)
    result_files.write(
        "accelerators_device",
        {
            **runs.environment(),
            "command": "python -m experiments.accelerators --device",
            "device": jax.devices()[0].device_kind,
            "agreement": agreement,
            "throughput": throughput,
            "populations": populations,
        },
    )
    return 0 if all(row["close"] for row in agreement) else 1


def _config(model: str, dtype: str) -> ConfigDict:
    config = contestants.config(model)
    config.model.dtype = dtype
    return config


def _dataset(raw: np.ndarray) -> Any:
    from vae.data.dataset import Dataset, Split

    return Dataset("random", "", "grey", 256, {"train": Split(raw)})


def _agreement(model: str, dtype: str, raw: np.ndarray) -> dict[str, Any]:
    """A step's gradient here and in float32 on a CPU, from the same weights and noise: what JAX
    draws is the same on all platforms. In bfloat16 it may be as far from it as on a CPU, nearly."""
    import jax

    from vae.probability import noise
    from vae.traced_for import tracing_for
    from vae.training import setup, step
    from vae.training.state import Creator

    def gradient(dtype: str, device: Any) -> np.ndarray:
        config = _config(model, dtype)
        program = setup.program(config, _dataset(raw))
        hyper = setup.hyperparameters(config) | {"num_examples": np.float32(len(raw))}
        params = Creator(program, raw.shape[1:])(hyper).params
        keys = noise.example_keys(noise.key_for(0, "train"), np.arange(64))
        with jax.default_device(device), tracing_for(device.platform):
            found, _ = jax.jit(
                lambda p, x: step.gradients(p, program, hyper, {"x": x}, keys, None)
            )(params, raw[:64])
        leaves = jax.tree.leaves(jax.device_get(found))
        return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in leaves])

    cpu = jax.local_devices(backend="cpu")[0]
    exact = gradient("float32", cpu)

    def apart(found: np.ndarray) -> float:
        return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))

    here = apart(gradient(dtype, jax.devices()[0]))
    most = APART if dtype == "float32" else TIMES * apart(gradient(dtype, cpu))
    return {"model": model, "dtype": dtype, "apart": here, "at most": most, "close": here < most}


def _throughput(raw: np.ndarray) -> Any:
    """Examples a second of each model and precision, and of PyTorch on the same kind of device."""
    import jax

    for model in MODELS:
        for dtype in DTYPES:
            config = _config(model, dtype)
            seconds = _median(contestants.trained(config, STEPS, raw))
            batch = config.train.batch_size
            yield _row(model, "ours", dtype, batch, seconds)
        if model == "top_down" or importlib.util.find_spec("torch") is None:
            continue
        place = "cpu" if jax.default_backend() == "cpu" else "cuda"
        for name, fused in (("PyTorch, eager", False), ("PyTorch, compiled", True)):
            run = contestants.torch(model, STEPS, raw, place, fused)
            yield _row(model, name, "float32", contestants.config(model).train.batch_size,
                       _median(run))  # fmt: skip


def _row(model: str, trainer: str, dtype: str, batch: int, seconds: float) -> dict[str, Any]:
    return {
        "model": model, "trainer": trainer, "dtype": dtype, "batch": batch,
        "ms a step": 1e3 * seconds / STEPS, "examples a second": batch * STEPS / seconds,
    }  # fmt: skip


def _populations(raw: np.ndarray) -> Any:
    """Steps a second of all trials together, so many at once on one device."""
    from vae.training import setup
    from vae.training.engine import Population
    from vae.training.feed import Feed
    from vae.training.state import Creator

    dataset = _dataset(raw)
    alone = 0.0
    for trials in TRIALS:
        config = _config("mlp", "float32")
        program = setup.program(config, dataset)
        create = Creator(program, dataset.shape)
        engine = Population(program, dataset.splits["train"].arrays(), 1, trials, STEPS)
        feeds = {}
        for slot in range(trials):
            config.seed = slot
            hyper = setup.hyperparameters(config)
            engine.put(slot, create(hyper), hyper)
            feeds[slot] = Feed(dataset.splits["train"], slot, config.train.batch_size)
        fed = {slot: feed.take(0, STEPS) for slot, feed in feeds.items()}
        seconds = _median(lambda engine=engine, fed=fed: engine.run(fed))
        rate = trials * STEPS / seconds
        alone = alone or rate
        yield {"trials at once": trials, "steps a second": rate, "times one": rate / alone}


def _median(run: Callable[[], Any]) -> float:
    """Seconds of a call that waits for its result; the first two compile."""
    run(), run()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
