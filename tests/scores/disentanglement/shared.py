"""Planted codes: a full grid of four factors of three values, six times over.

On the whole grid the factors are independent and every value as likely, not just nearly so.
"""

import functools
import itertools

import numpy as np

from vae.scores import disentanglement

VALUES, FACTORS, TIMES = 3, 4, 6
NARROW = 0.05  # std of q(z|x) where codes are standardised

# Fewer draws and votes than the defaults.
QUICK = {
    "beta_vae": {"points": 400, "pairs": 16},
    "factor_vae": {"votes": 1000, "size": 32},
    "mig_sampled": {"samples": 200},
    "dci_trees": {"rounds": 3},
}

HADAMARD = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2.0


def factors():
    grid = np.array(list(itertools.product(range(VALUES), repeat=FACTORS)))
    return np.tile(grid, (TIMES, 1))


def perfect():
    v = factors()
    return (v - v.mean(0)) / v.std(0)


def gaussian(seed=0, latents=FACTORS):
    return np.random.default_rng(seed).standard_normal((len(factors()), latents))


def noisy(level, seed=0):
    """Perfect codes and noise of that std."""
    return perfect() + level * gaussian(seed)


def planted(kind, seed=0):
    """Codes and the std of their posteriors."""
    z = {
        "perfect": perfect,
        "noise": lambda: gaussian(seed),
        "rotated": lambda: perfect() @ HADAMARD,
        "twice": lambda: np.concatenate([perfect(), perfect()], axis=1),
        "one of four": lambda: np.concatenate([perfect()[:, :1], gaussian(seed)[:, 1:]], axis=1),
        "half a std": lambda: noisy(0.5, seed),
        "two stds": lambda: noisy(2.0, seed),
    }[kind]()
    std = np.full(z.shape, 0.5 if kind == "noise" else NARROW)
    if kind == "one of four":
        std[:, 1:] = 0.5
    return z, std


def result(name, z, v, std, **settings):
    """Values of one metric by the names of its entries."""
    given = {"std": std} if name in TAKES_STD else {}
    found = disentanglement.METRICS[name](z, v, **given, **QUICK.get(name, {}), **settings)
    return {key: entry.value for key, entry in found.items()}


TAKES_STD = ("factor_vae", "mig_sampled", "rmig", "irs", "infomec")


@functools.cache
def values(kind):
    """Every entry of every metric, of the planted codes of that kind."""
    found = {}
    for name in disentanglement.METRICS:
        # Which weights are left where there is noise is chance, however many the examples.
        draws = 12 if name == "dci_linear" and kind in ("noise", "half a std", "two stds") else 1
        codes = [planted(kind, seed) for seed in range(draws)]
        each = [result(name, z, factors(), std) for z, std in codes]
        found |= {entry: np.mean([one[entry] for one in each]) for entry in each[0]}
    return found
