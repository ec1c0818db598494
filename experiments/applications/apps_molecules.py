"""Molecules: QM9's 133,885 (Ramakrishnan et al. 2014) as SELFIES and as SMILES, and a search in
their latent space for a property.

Recurrent encoder and decoder, teacher forcing, word dropout, KL annealing to a beta of 0.1, a prior
that is learnt (RealNVP), a head that predicts QED, logP and weight from the latents
(Gomez-Bombarelli et al. 2018). Of 10,000 sequences drawn from the prior: validity, uniqueness,
novelty against the training set, distances of the properties' distributions and of Morgan
fingerprints from the test set's; of 10,000 test molecules, how many come back whole from the mean
of q. Search: the highest QED among molecules that are decoded, by draws from the prior, by the
gradient of the head, and by Bayesian optimisation, each with the same number of evaluations, over
twenty seeds.

Full: 30 epochs, two hours of 2 cores (a model on each). cpu: 12 epochs, an hour. quick: 5,000
molecules, 20 epochs, 4 minutes.

    pip install "vae[apps]"
    ./launch.sh reproduce apps_molecules --data_dir=DATA [--scale=cpu]
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
import scipy.stats
from matplotlib.figure import Figure

from experiments.protocol import OURS, Expected, Mean, Study, Trial
from vae.configs import qm9 as config_file
from vae.data.qm9 import molecule, properties
from vae.evaluation import molecules, samplers
from vae.evaluation.trained import Trained, load
from vae.reports import figures
from vae.scores import smiles

SELFIES, SMILES = {"data.name": "qm9"}, {"data.name": "qm9_smiles"}
SEARCHES = 20  # of each method
FIRST = 100  # evaluations of draws from the prior that every search begins with
AT_ONCE = 20  # evaluations of a round, and the best that it begins from
QED = 0  # the property's number


def study(scale: str) -> Study:
    """QM9 as SELFIES and SMILES, and the searches for QED expected to beat random draws."""
    config = config_file.get_config()
    quick = scale == "quick"
    if scale == "cpu":
        config.train.epochs = 12
    elif quick:
        config.data.size, config.eval.samples = 5_000, 1_000
        config.train.epochs, config.train.eval_epochs = 20, 5.0
    least = {"reconstruction": 0.0 if quick else 0.9, "uniqueness": 0.5 if quick else 0.95}

    def above(name: str, value: float, what: str) -> Expected:
        return Expected(what, Mean(name, SELFIES), value, 0.0, "above", "", OURS, "")

    def beats(method: str) -> Expected:
        number = Mean("best_qed", {"method": method}, {"method": "random"})
        what = f"best QED by {method} less that of as many random draws"
        return Expected(what, number, -0.05 if quick else 0.0, 0.0, "above", "", OURS, "")

    expected = [
        Expected("validity, SELFIES", Mean("validity", SELFIES), 1.0, 0.0, "above", "", OURS, ""),
        above("reconstruction", least["reconstruction"], "molecules that come back whole"),
        above("uniqueness", least["uniqueness"], "distinct share"),
        above("active_units", config.model.latent_size / 3, "active units"),
        beats("gradient"),
        beats("Bayesian optimisation"),
    ]
    reduced = {"full": "", "cpu": "12 of 30 epochs", "quick": "5,000 molecules, 20 epochs"}[scale]
    return Study(config, [SELFIES, SMILES], expected, reduced, beside=beside, picture=picture)


def beside(trials: Sequence[Trial], directory: Path) -> list[Trial]:
    """The best QED found by each search with SELFIES."""
    (trial, *_) = [t for t in trials if t["values"]["data.name"] == "qm9"]
    run = load(directory / "trials" / trial["trial"])
    searches = {"random": random, "gradient": gradient, "Bayesian optimisation": bayesian}
    rows = []
    for seed in range(SEARCHES):
        for method, search in searches.items():
            found = Evaluations(run)
            search(found, seed, 500)
            top = np.sort(found.values)[::-1]
            rows.append({
                "trial": method,
                "values": {"method": method, "seed": seed},
                "metrics": {"best_qed": float(top[0]), "mean_of_best_10": float(top[:10].mean()),
                            "evaluations": len(top)},
                "stderr": {},
            })  # fmt: skip
    return rows


def picture(_: Sequence[Trial], directory: Path) -> Figure:
    """The first molecules among sequences drawn from the prior."""
    run = load(directory / "trials" / "name=qm9")
    made = [each for each in molecules.of_run(run, run.sample(60, draw=True)) if each]
    return figures.as_it_is(smiles.picture(made[:24], columns=8))


class Evaluations:
    """QED of what latents decode to, each z counted once; 0 for what is no molecule."""

    def __init__(self, run: Trained):
        self.run = run
        self.z = np.zeros((0, run.latent_size), np.float32)
        self.values = np.zeros(0)
        self.scale = run.prior_moments[1]  # of each latent

    def add(self, z: np.ndarray) -> None:
        """Decodes z [N, L] and keeps their QED."""
        made = molecules.of_run(self.run, self.run.decode(z))
        values = [properties(molecule(each))[QED] if each else 0.0 for each in made]
        self.z, self.values = np.concatenate([self.z, z]), np.append(self.values, values)

    def near_best(self, rng: np.random.Generator) -> np.ndarray:
        """Fifty neighbours of each of the best so far: [50, AT_ONCE, L]."""
        best = self.z[np.argsort(-self.values)[:AT_ONCE]]
        away = 0.3 * self.scale * rng.normal(size=(50, *best.shape))
        return (best + away).astype(np.float32)


def prior(run: Trained, num: int, rng: np.random.Generator) -> np.ndarray:
    """Draws of the run's prior: z [num, L]."""
    return samplers.prior(run).sample(num, int(rng.integers(2**31)))


def random(found: Evaluations, seed: int, budget: int) -> None:
    """Draws from the prior."""
    found.add(prior(found.run, budget, np.random.default_rng(seed)))


def gradient(found: Evaluations, seed: int, budget: int) -> None:
    """Ascent of the head's QED from around each of the best so far, along paths of many lengths.
    Among their ends the one with the highest predicted QED is taken."""
    rng = np.random.default_rng(seed)
    found.add(prior(found.run, FIRST, rng))
    climb = ascent(found.run)
    while len(found.values) < budget:
        start = found.near_best(rng)
        flat = start.reshape(-1, start.shape[-1])
        ends = climb(flat, rng.integers(0, 10, len(flat)))
        highest = found.run.predict(ends)[:, QED].reshape(start.shape[:2]).argmax(0)
        ends = ends.reshape(start.shape)[highest, np.arange(start.shape[1])]
        found.add(ends[: budget - len(found.values)])


def ascent(run: Trained, rate: float = 0.05) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Moves z [N, L] so many steps [N] up the head's QED and a fiftieth of log p(z)."""
    model, scale = run.model.bind(run.variables), run.prior_moments[1]

    def height(z: jax.Array) -> jax.Array:
        return (model.predict(z)[:, QED] + 0.02 * model.log_prior(z)).sum()

    slope = jax.jit(jax.grad(height))

    def climb(z: np.ndarray, steps: np.ndarray) -> np.ndarray:
        for number in range(int(steps.max())):
            up = scale * np.asarray(slope(z))
            up = up / np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-6)
            length = rate * np.sqrt(z.shape[1])
            z = np.where((number < steps)[:, None], z + length * scale * up, z)
        return z.astype(np.float32)

    return climb


def bayesian(found: Evaluations, seed: int, budget: int) -> None:
    """Expected improvement (Jones et al. 1998), a few z at a time, among draws from the prior and
    neighbours of the best, under a Gaussian process of what the head's QED leaves."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    rng = np.random.default_rng(seed)
    found.add(prior(found.run, FIRST, rng))
    while len(found.values) < budget:
        told = found.run.predict(found.z)[:, QED]
        line = np.polynomial.Polynomial.fit(told, found.values, 1)
        kernel = ConstantKernel(1.0) * RBF(np.sqrt(found.z.shape[1])) + WhiteKernel(1.0)
        process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
        with warnings.catch_warnings():  # of scales at their bounds, which will do
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(found.z / found.scale, found.values - line(told))
        near = found.near_best(rng).reshape(-1, found.z.shape[1])
        pool = np.concatenate([prior(found.run, 1000, rng), near])
        mean, std = process.predict(pool / found.scale, return_std=True)
        mean = mean + line(found.run.predict(pool)[:, QED])
        gain = (mean - found.values.max()) / np.maximum(std, 1e-9)
        expected = std * (gain * scipy.stats.norm.cdf(gain) + scipy.stats.norm.pdf(gain))
        num = min(AT_ONCE, budget - len(found.values))
        found.add(pool[np.argsort(-expected)[:num]])
