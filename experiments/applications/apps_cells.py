"""Single cells: the negative binomials of configs/cells.py beside scvi-tools' scVI.

Data: counts of single cells, DATA/cells/mouse_brain_10k.npz (`x` [10,000 cells, 1,000 genes],
`genes`, `cells`); a cell without any count is left out, a tenth of the cells validates and a tenth
is the test. Both have 10 latents, a layer of 128, a library that is the sum of the cell's counts
and a dispersion a gene, see the same cells, and have the weights best on the validation cells.
scVI also has batch norm and dropout, and its own optimiser; the warm-up of its KL's weight, 400
epochs by default, is left out as it is of ours, or at full scale the better of two on the
validation cells. Negative log likelihoods are by the
same importance-weighted estimator with as many draws. Seconds are of training by each one's own
trainer, one after the other on the same cores, until both bounds of the validation cells are there
that the worse of the two ever reaches, to a thousandth: ours with compilation and validations, from
an empty cache; scVI's without the measurement. Batches are not mixed: this data set has none.

Full: 400 epochs, five seeds. cpu: 100 epochs, one seed, 15 minutes of 2 cores. quick: 20 epochs of
2,000 cells.

    ./launch.sh reproduce apps_cells --data_dir=DATA [--scale=cpu]
"""

import dataclasses
import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments import side_by_side
from experiments.baselines import scvi_cells
from experiments.protocol import OURS, Expected, Study, Trial, Value, pick
from vae import npz
from vae.configs import cells as config_file
from vae.errors import RunError, UserError
from vae.evaluation.trained import Trained, load
from vae.paths import data_dir
from vae.tied import tied

FILE = "cells/mouse_brain_10k.npz"
LIKELIHOODS = {"negative_binomial": "nb", "zero_inflated_negative_binomial": "zinb"}
NLL = "nll_iwae_500"
DRAWS = 500
WARMUPS = (1, 50)  # epochs, of scVI: the first alone but at full scale
NEAR = 1.001  # a bound is reached where it is so near


def cells(data: Any) -> dict[str, np.ndarray]:
    """The counts of `config.data.dir`, of the cells that have any: a part for `data.name`.

    Raises:
      UserError: they are not there.
    """
    path = data_dir(data.dir) / FILE
    if not path.exists():
        raise UserError(f"{path}: no such file; put x, genes and cells there, or set --data_dir")
    found = npz.read(path)
    return {"x": found["x"][found["x"].sum(1) > 0]}


def study(scale: str) -> Study:
    """Both likelihoods, and how they should stand beside scVI where it is installed."""
    config = config_file.get_config()
    config.data.name = f"{__name__}:cells"
    config.train.epochs = {"full": 400, "cpu": 100, "quick": 20}[scale]
    config.data.size = 2000 if scale == "quick" else 0
    config.train.patience = 0
    config.eval.iwae_samples = (DRAWS,)
    config.train.parallel = "jit"
    names = list(LIKELIHOODS) if scale != "quick" else list(LIKELIHOODS)[:1]
    expected = []
    if importlib.util.find_spec("scvi"):
        for name in names:
            what, number = f"NLL of {name} over scVI's", Ratio(NLL, name)
            expected.append(Expected(what, number, 1.0, 0.01, "below", "", OURS, ""))
            if scale != "quick":  # of whose seconds most are of compilation
                what = f"seconds of scVI over ours to the same bound, {name}"
                number = Ratio("seconds_to_bound", name, inverse=True)
                expected.append(Expected(what, number, 1.5, 0.0, "above", "", OURS, ""))
    else:
        expected.append(Expected("held-out NLL, scvi-tools is not installed", ours, 1e4, 0.0,
                                 "below"))  # fmt: skip
    reduced = {"full": "", "cpu": "one seed, 100 of 400 epochs",
               "quick": "one seed, 20 epochs of 2,000 cells"}[scale]  # fmt: skip
    warmups = WARMUPS if scale == "full" else WARMUPS[:1]
    return Study(
        config, [{"model.likelihood": name} for name in names], expected, reduced,
        seeds=5 if scale == "full" else 1, beside=functools.partial(beside, warmups=warmups),
        picture=side_by_side.drawn(NLL),
    )  # fmt: skip


def ours(trials: Sequence[Trial]) -> Value:
    """The mean over seeds of our NLL of the plain negative binomial."""
    rows = pick(trials, {"method": method("ours", next(iter(LIKELIHOODS)))})
    return float(np.mean([row["metrics"][NLL] for row in rows])), None


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A metric of ours over scVI's, or the other way round, as a ratio of means over seeds."""

    metric: str
    likelihood: str
    inverse: bool = False

    def __call__(self, trials: Sequence[Trial]) -> Value:
        """The ratio; its error is not known."""
        first, second = (
            np.mean([row["metrics"][self.metric]
                     for row in pick(trials, {"method": method(whose, self.likelihood)})])
            for whose in ("ours", "scVI")
        )  # fmt: skip
        return float(second / first if self.inverse else first / second), None


def method(whose: str, likelihood: str) -> str:
    """A row's name."""
    return f"{whose}, {likelihood.replace('_', ' ')}"


def beside(trials: Sequence[Trial], directory: Path, warmups: Sequence[int]) -> list[Trial]:
    """Both on the test cells, and how long each trains to the same bound."""
    rows = []
    there = importlib.util.find_spec("scvi") is not None
    if not there:
        print("scvi-tools is not installed: its rows are left out (pip install 'vae[bench]')")
    for trial in trials:
        name = trial["values"]["model.likelihood"]
        run = load(directory / "trials" / trial["trial"])
        x = run.examples("test")
        mine = {"elbo": run.elbo(x, DRAWS), "nll": -run.log_likelihood(x, DRAWS)}
        mine |= timed(run)
        theirs = scvis(run, LIKELIHOODS[name], warmups) if there else None
        both = {"ours": mine} | ({"scVI": theirs} if theirs else {})
        wanted = min(float(np.max(each["bounds"])) for each in both.values()) * NEAR
        for whose, found in both.items():
            rows.append(row(method(whose, name), trial, found, wanted))
    return rows


def row(name: str, trial: Trial, found: dict[str, np.ndarray], wanted: float) -> Trial:
    """What is written of a method on the test cells.

    Args:
      wanted: the validation bound that is waited for, in nats.
    """
    cells = len(found["nll"])
    reached = int(np.argmax(found["bounds"] >= wanted))
    return {
        "trial": name,
        "values": {"method": name, "seed": trial["values"].get("seed", 0)},
        "metrics": {
            NLL: float(found["nll"].mean()),
            "elbo": float(found["elbo"].mean()),
            "seconds_to_bound": float(found["seconds"][reached]),
            "epochs_to_bound": float(found["epochs"][reached]),
            "seconds_per_epoch": float(found["seconds"][-1] / found["epochs"][-1]),
        },
        "stderr": {
            key: float(found[of].std(ddof=1) / np.sqrt(cells))
            for key, of in ((NLL, "nll"), ("elbo", "elbo"))
        },
    }


def timed(run: Trained) -> dict[str, np.ndarray]:
    """Trains a run once more in a process of its own, with an empty cache of programs: `epochs`,
    `seconds` since training began, and `bounds` at every validation.

    Raises:
      RunError: it failed.
    """
    program = (
        "import sys, pathlib, vae; from vae import runs; "
        "vae.train(runs.read_config(pathlib.Path(sys.argv[1])), sys.argv[2])"
    )
    found: dict[str, list[float]] = {"epochs": [], "seconds": [], "bounds": []}
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "XDG_CACHE_HOME": folder, "JAX_ENABLE_COMPILATION_CACHE": "false"}
        env["PYTHONPATH"] = os.pathsep.join([*sys.path])
        began = None
        process = subprocess.Popen(
            tied([sys.executable, "-u", "-c", program, str(run.workdir), f"{folder}/run"]),
            stdout=subprocess.PIPE, text=True, env=env,
        )  # fmt: skip
        assert process.stdout
        for line in process.stdout:
            words = line.split()
            if began is None and ": train " in line:  # the data are read, and nothing is compiled
                began = time.perf_counter()
            elif began is not None and "validation:" in words:
                found["seconds"].append(time.perf_counter() - began)
                found["epochs"].append(float(words[1]))
                found["bounds"].append(float(words[words.index("elbo") + 1]))
        if process.wait() or not found["bounds"]:
            raise RunError(f"{run.workdir} did not train again: see above")
    return {key: np.array(values) for key, values in found.items()}


def scvis(run: Trained, likelihood: str, warmups: Sequence[int]) -> dict[str, np.ndarray]:
    """The same of scVI on the run's cells, with `elbo` and `nll` of the test cells, by the warm-up
    that is best on the validation cells."""
    config = run.config
    settings = {
        "likelihood": likelihood, "seed": config.seed, "latents": config.model.latent_size,
        "hidden": config.model.hidden[0], "layers": len(config.model.hidden),
        "epochs": config.train.epochs, "batch": config.train.batch_size, "draws": DRAWS,
    }  # fmt: skip
    tried = []
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "cells.npz"
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        env["OMP_WAIT_POLICY"] = "PASSIVE"  # else much slower beside any other process
        splits = ("train", "validation", "test")
        npz.write(arrays, {split: np.asarray(run.dataset.splits[split].x[:]) for split in splits})
        for warmup in warmups:
            output = Path(folder) / f"{warmup}.npz"
            text = json.dumps(settings | {"plan": {"n_epochs_kl_warmup": warmup}})
            subprocess.run(
                tied([sys.executable, "-m", scvi_cells.__name__, str(arrays), str(output), text]),
                check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env,
            )  # fmt: skip
            tried.append(npz.read(output))
    return max(tried, key=lambda each: float(each["bounds"].max()))
