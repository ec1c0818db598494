"""Densities of z to draw new examples from, fitted to the latents of a trained run, by name.

- `prior`: the model's own p(z), which is not fitted;
- `normal`: N(0, I), whatever the prior;
- `aggregate`: one Gaussian of full covariance (Ghosh et al. 2020, section 4);
- `mixture`: a mixture of them, by EM (the same section: ex-post density estimation);
- `flow`: a spline coupling flow, by maximum likelihood (Durkan et al. 2019);
- `second_stage`: a second VAE, of z (Dai & Wipf 2019, section 3).

A fit sees draws of the aggregate posterior q(z) = 1/N sum_n q(z|x_n) over the training set, and
never the decoder. The functions import JAX and scikit-learn when they are called, so that a name is
checked at once.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from vae.choices import choose
from vae.errors import RunError, UserError

if TYPE_CHECKING:
    import jax

    from vae.evaluation.trained import Trained

BATCH = 500  # latents a device holds at a time
CHECKS = 20  # times that a fit by gradients is looked at on what it has not seen
PATIENCE = 5  # of them without a lesser loss
RIDGE = 1e-6  # added to every correlation matrix, so that none is singular
LOG_2PI = 1.8378770664093453
POINTS = ("autoencoder", "rae")  # objectives whose z is the posterior's mean


@dataclasses.dataclass(frozen=True)
class Sampler:
    """A density of z: `sample(num, seed)` gives z [num, L], each a function of the seed and its
    number; `log_prob(z)` the log density [N] in nats of z [N, L], None where it has no closed form.
    """

    sample: Callable[..., np.ndarray]
    log_prob: Callable[[np.ndarray], np.ndarray] | None = None


def fit(
    run: "Trained", name: str, seed: int = 0, num: int = 10_000, **settings: Any
) -> Sampler:
    """Fits the density `name` to a run's training set.

    Args:
      seed: of the latents' draws and of the fit.
      num: most draws of q(z) to fit to (see `latents`).
      settings: keyword arguments of the function that fits, `fit_mixture` and so on.

    Raises:
      UserError: no such name, or the run's latents have no density that knows nothing else.
    """
    chosen = choose(SAMPLERS, name, "sampler")
    if chosen is prior:
        return prior(run)
    if run.model.context_size:
        raise UserError(f"sampler={name!r} ignores the context that the model takes: use prior")
    if run.config.model.name == "vqvae":
        raise UserError(f"sampler={name!r} is no density of a codebook's codes: use prior")
    if chosen is normal:
        return normal(run.latent_size)
    return chosen(latents(run, num, seed), seed=seed, **settings)


def latents(run: "Trained", num: int = 10_000, seed: int = 0) -> np.ndarray:
    """Draws of q(z|x) for training examples in a random order, z [n, L], n <= num.

    Examples that are binarised at every step of training are binarised once, by a fixed seed. Where
    there are fewer than `num`, each has several draws, next to each other and as many as the
    others. The runs of deterministic objectives have one an example, the posterior's mean: their
    variance is not learnt.
    """

    from vae.data import binarization
    from vae.data.dataset import Lazy
    from vae.data.observe import observed
    from vae.data.table import SEED
    from vae.evaluation.batches import PerExample
    from vae.probability import noise

    part, levels = run.dataset.splits["train"], run.dataset.levels
    rows = np.random.default_rng(seed % 2**32).permutation(len(part))[:num]
    points = run.config.objective.name in POINTS
    count = 1 if points else num // len(rows)
    fresh = run.described["observed"] == "binary" and not part.binarized
    seen = observed(run.dataset, "train")

    def read(some: np.ndarray) -> np.ndarray:
        if not fresh:
            return seen[rows[some]]
        return binarization.static(part.x[rows[some]], levels, SEED, rows[some]).astype(np.float32)

    def draws(weights: Any, x: "jax.Array", keys: "jax.Array") -> "jax.Array":  # [b, count, L]
        q = run.model.bind(weights).encode(x)
        return q.mean[:, None] if points else q.sample(keys, 0, count).swapaxes(0, 1)

    x, key = Lazy(read, (len(rows), *part.x.shape[1:]), np.float32), noise.key_for(seed, "evaluate")
    z = PerExample(draws)(run.variables, x, key, BATCH)[..., : run.latent_size]
    if not np.isfinite(z).all():
        raise RunError("latents of the training set are not finite: the model has diverged")
    return z.reshape(-1, run.latent_size)


def prior(run: "Trained") -> Sampler:
    """The run's own p(z); a conditional model's `sample` takes a context too, [num, C]."""

    def sample(num: int, seed: int = 0, context: np.ndarray | None = None) -> np.ndarray:
        return run._prior_draws(num, seed, context=context)[:, : run.latent_size]

    return Sampler(sample)


def normal(latent_size: int) -> Sampler:
    """N(0, I) of so many latents."""
    return gaussians(np.ones(1), [Gaussian(np.zeros(latent_size), np.eye(latent_size))])


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """N(mean, C C^T), and the map z = mean + C u that makes it of N(0, I). In float64."""

    mean: np.ndarray  # [L]
    factor: np.ndarray  # C [L, L], lower-triangular

    def whiten(self, z: np.ndarray) -> np.ndarray:
        """u [N, L] of z [N, L]."""
        return np.linalg.solve(self.factor, (z - self.mean).T).T

    def colour(self, u: np.ndarray) -> np.ndarray:
        """z [..., L] of u [..., L]."""
        return self.mean + u @ self.factor.T

    @property
    def log_det(self) -> float:
        return float(np.log(np.diag(self.factor)).sum())

    def log_prob(self, z: np.ndarray) -> np.ndarray:
        """[N] nats."""
        return -0.5 * (np.square(self.whiten(z)) + LOG_2PI).sum(-1) - self.log_det


def scales(z: np.ndarray) -> Gaussian:
    """The diagonal Gaussian of z's means and standard deviations, none of them zero."""
    z = np.asarray(z, np.float64)
    if len(z) < 2:
        raise UserError(f"{len(z)} latents are too few to fit a density to")
    std = z.std(0)
    return Gaussian(z.mean(0), np.diag(np.maximum(std, RIDGE * std.max() + 1e-12)))


def moments(z: np.ndarray) -> Gaussian:
    """The Gaussian of z's mean and covariance, the maximum-likelihood one up to the ridge."""
    each = scales(z)
    u = each.whiten(z)
    correlation = u.T @ u / len(u) + RIDGE * np.eye(u.shape[1])
    return Gaussian(each.mean, each.factor @ np.linalg.cholesky(correlation))


def gaussians(weights: np.ndarray, parts: list[Gaussian]) -> Sampler:
    """sum_c w_c N(mu_c, C_c C_c^T), of weights [C] that sum to 1."""

    def sample(num: int, seed: int = 0) -> np.ndarray:
        import jax

        from vae.probability import noise

        keys = noise.example_keys(noise.key_for(seed, "sample"), np.arange(num))
        uniform = jax.vmap(jax.random.uniform)(noise.fold(keys, 1))
        chosen = np.searchsorted(np.cumsum(weights), uniform, side="right")
        chosen = np.minimum(chosen, len(parts) - 1)  # where the weights sum to less by rounding
        z = np.asarray(noise.normal(keys, parts[0].mean.shape), np.float64)
        for number, part in enumerate(parts):
            z[chosen == number] = part.colour(z[chosen == number])
        return z.astype(np.float32)

    def log_prob(z: np.ndarray) -> np.ndarray:
        each = [np.log(w) + part.log_prob(z) for w, part in zip(weights, parts, strict=True)]
        return np.logaddexp.reduce(each, axis=0)

    return Sampler(sample, log_prob)


def fit_aggregate(z: np.ndarray, seed: int = 0) -> Sampler:
    """One Gaussian with the mean and covariance of z [N, L]; nothing in it is random."""
    return gaussians(np.ones(1), [moments(z)])


def fit_mixture(z: np.ndarray, seed: int = 0, components: int = 10) -> Sampler:
    """A mixture of Gaussians of full covariance, by EM from k-means, to z [N, L]."""
    from sklearn.mixture import GaussianMixture

    if not 1 <= components <= len(z):
        raise UserError(f"components={components} should be from 1 to {len(z)}, one a draw of z")
    each = scales(z)
    found = GaussianMixture(components, reg_covar=RIDGE, max_iter=300, random_state=seed % 2**32)
    found.fit(each.whiten(z))
    factors = np.linalg.cholesky(found.covariances_)
    parts = [
        Gaussian(each.colour(mean), each.factor @ factor)
        for mean, factor in zip(found.means_, factors, strict=True)
    ]
    return gaussians(found.weights_, parts)


def fit_flow(
    z: np.ndarray,
    seed: int = 0,
    steps: int = 2000,
    batch: int = 250,
    rate: float = 2e-3,
    layers: int = 4,
    hidden: tuple[int, ...] = (64,),
) -> Sampler:
    """A spline coupling flow to z [N, L] in a random order (see `minimised`).

    It starts as the Gaussian of z's mean and covariance, with which z is whitened.
    """
    import jax
    import jax.numpy as jnp

    from vae.evaluation.batches import PerExample
    from vae.probability import noise
    from vae.probability.flow_priors import spline

    start = moments(z)
    flow = spline(z.shape[1], flow_layers=layers, flow_hidden=tuple(hidden))

    def log_prob(params: Any, u: "jax.Array", keys: "jax.Array") -> "jax.Array":
        return flow.apply(params, u, method="log_prob")

    def loss(params: Any, u: "jax.Array", keys: "jax.Array") -> "jax.Array":
        return -log_prob(params, u, keys)

    first = jax.jit(functools.partial(flow.init, method="log_prob"))
    params = first(noise.key_for(seed, "init"), jnp.zeros((1, z.shape[1])))
    params = minimised(loss, params, start.whiten(z), seed, steps, batch, rate)
    densities = PerExample(log_prob)
    draws = PerExample(lambda params, _, keys: flow.apply(params, keys, method="sample"))

    def sample(num: int, seed: int = 0) -> np.ndarray:
        u = draws(params, np.zeros(num), noise.key_for(seed, "sample"), BATCH)
        return start.colour(u).astype(np.float32)

    def density(z: np.ndarray) -> np.ndarray:
        u = start.whiten(z).astype(np.float32)
        return densities(params, u, noise.key_for(0, "evaluate"), BATCH) - start.log_det

    return Sampler(sample, density)


def fit_second_stage(
    z: np.ndarray,
    seed: int = 0,
    steps: int = 2000,
    batch: int = 250,
    rate: float = 5e-3,
    hidden: tuple[int, ...] = (128, 128),
) -> Sampler:
    """A VAE of z [N, L] in a random order (see `minimised`), with as many latents, a standard
    normal prior and Gaussian noise of one learned scale, of which a draw has its share.

    z is whitened by its mean and covariance, so that a decoder that says nothing gives theirs.
    """
    import jax
    from ml_collections import ConfigDict

    from vae import models, objectives
    from vae.evaluation.compiled import Compiled
    from vae.probability import noise

    start, size = moments(z), z.shape[1]
    config = {"name": "vae", "latent_size": size, "posterior": "diagonal", "prior": "normal"}
    config |= {"encoder": "mlp", "decoder": "mlp", "hidden": tuple(hidden), "activation": "silu"}
    config |= {"likelihood": "gaussian_learned", "sigma": 1.0, "classifier": "", "dtype": "float32"}
    model = models.from_config(ConfigDict(config), (size,), np.zeros(size), kind="real")
    compiled = Compiled(model, (size,))

    def loss(params: Any, u: "jax.Array", keys: "jax.Array") -> "jax.Array":
        bound = model.bind(models.variables(model, params))
        return objectives.elbo(bound, u, keys, {"beta": 1.0})["loss"]

    params = jax.jit(lambda: models.initialise(model, (size,), seed))()
    params = minimised(loss, params, start.whiten(z), seed, steps, batch, rate)
    variables = compiled.variables(params, size)

    def sample(num: int, seed: int = 0) -> np.ndarray:
        key = noise.key_for(seed, "sample")
        above = compiled.prior(variables, np.ones(num, np.float32), key, BATCH)
        u = compiled.draw(variables, above, jax.random.fold_in(key, 1), BATCH)
        return start.colour(u.reshape(num, size)).astype(np.float32)

    return Sampler(sample)


def minimised(
    loss: Callable[[Any, "jax.Array", "jax.Array"], "jax.Array"],
    params: Any,
    z: np.ndarray,
    seed: int,
    steps: int,
    batch: int,
    rate: float,
) -> Any:
    """`params` after at most `steps` steps of Adam, whose learning rate falls from `rate` to 0 by a
    cosine, on random batches of z [N, L].

    The last tenth of z is held out, and looked at CHECKS times: what is returned has the least loss
    there, and PATIENCE times without a lesser one are the end.

    Args:
      loss: (params, z [B, L], keys [B]) -> [B].

    Raises:
      RunError: a loss that is not finite.
    """
    import jax
    import jax.numpy as jnp
    import optax

    from vae.probability import noise

    z = jnp.asarray(z, jnp.float32)
    seen, held = jnp.split(z, [len(z) - max(1, len(z) // 10)])
    part = -(-steps // CHECKS)
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, CHECKS * part))

    @jax.jit
    def mean_loss(params: Any, z: jax.Array, key: jax.Array) -> jax.Array:
        return loss(params, z, jax.random.split(key, len(z))).mean()

    @jax.jit
    def advance(state: Any, seen: jax.Array, key: jax.Array) -> Any:
        def step(state: Any, key: jax.Array) -> Any:
            rows, draws = jax.random.split(key)
            rows = jax.random.randint(rows, (min(batch, len(seen)),), 0, len(seen))
            gradient = jax.grad(mean_loss)(state[0], seen[rows], draws)
            updates, moved = optimizer.update(gradient, state[1])
            return (optax.apply_updates(state[0], updates), moved), None

        return jax.lax.scan(step, state, jax.random.split(key, part))[0]

    state, losses = (params, optimizer.init(params)), []
    for number in range(CHECKS + 1):
        losses.append(float(mean_loss(state[0], held, noise.key_for(seed, "validate"))))
        if not np.isfinite(losses[-1]):
            raise RunError("the density's loss is not finite: fit it with a smaller `rate`")
        if losses[-1] == min(losses):
            params, found = state[0], number
        if number - found == PATIENCE:
            break
        key = jax.random.fold_in(noise.key_for(seed, "train"), number)
        state = advance(state, seen, key)
    return params


SAMPLERS = {
    "prior": prior,
    "normal": normal,
    "aggregate": fit_aggregate,
    "mixture": fit_mixture,
    "flow": fit_flow,
    "second_stage": fit_second_stage,
}
