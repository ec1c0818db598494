"""How anomalous examples are to a trained model: a higher score is more of an anomaly."""

import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vae import runs
from vae.estimators import bounds
from vae.estimators.compiled import Compiled
from vae.evaluation import accepted
from vae.probability import noise
from vae.scores.anomaly import Gaussian

SEED = 0
ELBO_SAMPLES = 100  # draws of z an example
TRAIN = 20_000  # training examples that a Gaussian is fitted to, at most
NAMES = ("negative_elbo", "negative_iwae", "reconstruction", "rate", "mahalanobis", "residual")
EARLIER = {"elbo": "negative_elbo", "iwae": "negative_iwae"}  # what older runs call them
LARGEST = 4096  # numbers of an example whose residuals' covariance is fitted


class Scored(Protocol):
    """What is needed of a `vae.evaluation.trained.Trained`."""

    described: dict[str, Any]
    config: Any
    compiled: Compiled
    shape: tuple[int, ...]
    latent_size: int

    @property
    def variables(self) -> Any: ...

    def check(self, x: np.ndarray) -> np.ndarray: ...

    def check_context(self, context: np.ndarray | None, count: int) -> np.ndarray | None: ...

    def seen(self, split: str) -> Any: ...

    def context(self, split: str = "test", num: int | None = None) -> np.ndarray | None: ...

    def encode(self, x: Any, context: np.ndarray | None = None) -> tuple[Any, Any]: ...

    def decode(self, z: np.ndarray, context: np.ndarray | None = None) -> np.ndarray: ...


def names(run: Scored) -> tuple[str, ...]:
    """The scores of a run's data: tokens, tables with levels and holes, and very large examples
    have no residual."""
    differ = run.described["observed"] not in ("tokens", "columns")
    has = differ and np.prod(run.shape) <= LARGEST
    return tuple(name for name in NAMES if name != "residual" or has)


def scores(
    run: Scored, x: np.ndarray, context: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Scores of examples as the model sees them (`Trained.examples`, `Trained.prepare`).

    - `negative_elbo`, `negative_iwae`: minus the bounds on log p(x), nats (the IWAE's with the
      config's largest K);
    - `reconstruction`: -E_q[log p(x|z)], nats (An & Cho 2015, "reconstruction probability");
    - `rate`: KL(q(z|x) || p(z)), nats;
    - `mahalanobis`: distance of the posterior mean from those of the training set;
    - `residual`: distance of x - E[x|z], z being the posterior mean, from the training set's
      residuals. Unlike `reconstruction` it knows which columns err together.

    Args:
      x: [N, *shape].

    Returns:
      Name to [N], of each of `names(run)`.

    Raises:
      UserError: x does not fit the model.
    """
    x = run.check(x)
    key, batch = noise.key_for(SEED, "evaluate"), run.config.eval.batch_size
    given = run.check_context(context, len(x))
    elbo = run.compiled(bounds.elbo, ELBO_SAMPLES)(run.variables, x, key, batch, given)
    draws = max(run.config.eval.iwae_samples)
    mean = elbo["posterior_mean"][:, : run.latent_size]
    train, of_train = run.seen("train")[:TRAIN], run.context("train", TRAIN)
    codes = run.encode(train, of_train)[0]
    found = {
        "negative_elbo": -elbo["elbo"],
        "negative_iwae": -run.compiled(bounds.iwae, draws)(run.variables, x, key, batch, given),
        "reconstruction": elbo["distortion"],
        "rate": elbo["rate"],
        "mahalanobis": Gaussian.fit(codes).distance(mean),
    }
    if "residual" in names(run):

        def residual(x: np.ndarray, z: np.ndarray, context: np.ndarray | None) -> np.ndarray:
            return (x - run.decode(z, context)).reshape(len(x), -1)

        fitted = Gaussian.fit(residual(train, codes, of_train))
        found["residual"] = fitted.distance(residual(x, mean, given))
    return {name: np.asarray(values, np.float64) for name, values in found.items()}


def bounded(
    run: Scored, x: np.ndarray, context: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The same, but infinite where numbers are too large for one; a warning names those
    examples."""
    with np.errstate(over="ignore"):
        x = accepted.shaped(x, run.shape).astype(np.float32)
    fits = ~np.isinf(x).reshape(len(x), -1).any(axis=1)
    x[~fits] = 0.0  # any number: they are given no score below
    with np.errstate(over="ignore", invalid="ignore"):
        found = scores(run, x, context)
    found = {
        name: np.where(fits & np.isfinite(values), values, np.inf)
        for name, values in found.items()
    }
    beyond = np.flatnonzero(np.isinf(list(found.values())).any(axis=0))
    if len(beyond):
        warnings.warn(
            f"{len(beyond):,} examples are so far out that a score is infinite: "
            f"{', '.join(map(str, beyond[:10]))}{', ...' * (len(beyond) > 10)}",
            stacklevel=3,
        )
    return found


def kept(workdir: Path) -> dict[str, np.ndarray]:
    """What evaluation keeps of a run: `labels` and each score [N]; `validation_` before a name is
    for validation examples."""
    arrays = runs.read_arrays(workdir / "anomaly.npz")
    older = {f"{prefix}{was}": f"{prefix}{name}"
             for was, name in EARLIER.items() for prefix in ("", "validation_")}  # fmt: skip
    return {older.get(name, name): values for name, values in arrays.items()}
