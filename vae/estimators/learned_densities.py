"""Densities of latents z with weights, fitted to draws of them by gradients."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from vae.errors import RunError
from vae.estimators.fitted_densities import Sampler, moments

if TYPE_CHECKING:
    import jax

BATCH = 500  # latents a device holds at a time
CHECKS = 20  # times that a fit by gradients is looked at on what it has not seen
PATIENCE = 5  # of them without a lesser loss


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

    from vae.estimators.batches import PerExample
    from vae.probability import noise
    from vae.probability.flow_priors import spline

    start = moments(z)
    flow = spline(z.shape[1], flow_layers=layers, flow_hidden=tuple(hidden))

    def log_prob(params: Any, u: "jax.Array", keys: "jax.Array") -> "jax.Array":
        return jnp.asarray(flow.apply(params, u, method="log_prob"))

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
    normal prior and Gaussian noise of one learned scale, which draws include.

    z is whitened by its mean and covariance, so even a constant decoder reproduces these two.
    """
    import jax

    from vae import config as configs
    from vae import models
    from vae.estimators.compiled import Compiled
    from vae.objectives.elbo import elbo
    from vae.probability import noise

    start, size = moments(z), z.shape[1]
    config = configs.default().model
    config.update(
        latent_size=size, hidden=tuple(hidden), activation="silu", likelihood="gaussian_learned",
        sigma=1.0,
    )  # fmt: skip
    model = models.from_config(config, (size,), np.zeros(size), kind="real")
    compiled = Compiled(lambda: model, (size,))

    def loss(params: Any, u: "jax.Array", keys: "jax.Array") -> "jax.Array":
        bound = model.bind(models.variables(model, params))
        return elbo(bound, u, keys, {"beta": 1.0})["loss"]

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

    The last tenth of z is held out and looked at CHECKS times. The parameters with the least loss
    there are returned; PATIENCE looks without a lesser loss end the fit.

    Args:
      loss: (params, z [B, L], keys [B]) -> [B].

    Raises:
      RunError: a loss that is not finite.
    """
    import jax
    import jax.numpy as jnp
    import optax

    from vae.probability import noise

    seen, held = jnp.split(jnp.asarray(z, jnp.float32), [len(z) - max(1, len(z) // 10)])
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
        if number in (CHECKS, found + PATIENCE):
            break
        key = jax.random.fold_in(noise.key_for(seed, "train"), number)
        state = advance(state, seen, key)
    return params
