"""Densities of latents z with weights, fitted to draws of them by gradients."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from vae.errors import RunError
from vae.estimators.fitted_densities import Sampler, scales

if TYPE_CHECKING:
    import jax

BATCH = 500  # latents a device holds at a time
CHECKS = 20  # times that a fit by gradients is looked at on what it has not seen
PATIENCE = 5  # of them without a lesser loss


def fit_flow(
    z: np.ndarray,
    seed: int = 0,
    steps: int = 10_000,
    batch: int = 250,
    rate: float = 2e-3,
    layers: int = 4,
    hidden: tuple[int, ...] = (64,),
) -> Sampler:
    """A spline coupling flow to z [N, L] in a random order (see `minimised`).

    It starts as the Gaussian of z's means and standard deviations. Of ten separated Gaussians in
    10 dimensions 2,000 steps put 0.83 of the draws inside one: they were too few (0.98 after
    20,000), and white z, in which modes lie no longer apart along some directions alone, made it
    harder (0.90 of standardised z). It was no early stop: the loss still fell.
    """
    import jax
    import jax.numpy as jnp

    from vae.estimators.batches import PerExample
    from vae.probability import noise
    from vae.probability.flow_priors import spline

    start = scales(z)
    flow = spline(z.shape[1], flow_layers=layers, flow_hidden=tuple(hidden))

    def log_prob(params: Any, u: "jax.Array", keys: "jax.Array") -> "jax.Array":
        return jnp.asarray(flow.apply(params, u, method="log_prob"))

    def loss(params: Any, u: "jax.Array", keys: "jax.Array") -> "jax.Array":
        return -log_prob(params, u, keys)

    first = jax.jit(functools.partial(flow.init, method="log_prob"))
    params = first(noise.key_for(seed, "init"), jnp.zeros((1, z.shape[1])))
    params = minimised(loss, params, start.whiten(z).astype(np.float32), seed, steps, batch, rate)
    densities = PerExample(log_prob)
    draws = PerExample(lambda params, _, keys: flow.apply(params, keys, method="sample"))

    def sample(num: int, seed: int = 0, first: int = 0) -> np.ndarray:
        u = draws(params, np.zeros(num), noise.key_for(seed, "sample"), BATCH, None, first)
        return start.colour(u).astype(np.float32)

    def density(z: np.ndarray) -> np.ndarray:
        u = start.whiten(z).astype(np.float32)
        return densities(params, u, noise.key_for(0, "evaluate"), BATCH) - start.log_det

    return Sampler(sample, density)


def fit_second_stage(
    z: np.ndarray,
    seed: int = 0,
    steps: int = 20_000,
    batch: int = 250,
    rate: float = 5e-3,
    hidden: tuple[int, ...] = (128, 128),
) -> Sampler:
    """A VAE of z [N, L] in a random order (see `minimised`), with as many latents, a standard
    normal prior and Gaussian noise of one learned scale, which draws include.

    z is standardised, and not whitened: in white z every direction has the variance 1, so with
    noise of scale 1 a decoder that ignores its latents is a stationary point, and one scale fits
    no longer directions along which modes lie apart and those along which they do not. Of ten
    separated Gaussians in 32 dimensions nothing but one Gaussian was then learnt, in any number of
    steps.
    """
    import jax

    from vae import config as configs
    from vae import models
    from vae.estimators.compiled import Compiled
    from vae.objectives.elbo import elbo
    from vae.probability import noise

    start, size = scales(z), z.shape[1]
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
    u = start.whiten(z).astype(np.float32)
    params = minimised(loss, params, u, seed, steps, batch, rate)
    variables = compiled.variables(params, size)

    def sample(num: int, seed: int = 0, first: int = 0) -> np.ndarray:
        key = noise.key_for(seed, "sample")
        above = compiled.prior(variables, np.ones(num, np.float32), key, BATCH, None, first)
        key = jax.random.fold_in(key, 1)
        u = compiled.draw(variables, above, key, BATCH, None, first)
        return start.colour(u.reshape(num, size)).astype(np.float32)

    return Sampler(sample)


def minimised(
    loss: Callable[[Any, Any, "jax.Array"], "jax.Array"],
    params: Any,
    z: Any,
    seed: int,
    steps: int,
    batch: int,
    rate: float,
    average: float = 0.0,
    fresh: Callable[[int], Any] | None = None,
) -> Any:
    """`params` after at most `steps` steps of Adam, whose learning rate falls from `rate` to 0 by a
    cosine, on random batches of z.

    The last tenth of z is held out and looked at CHECKS times. The parameters with the least loss
    there are returned; PATIENCE looks without a lesser loss end the fit.

    Args:
      loss: (params, a batch of z, keys [B]) -> [B].
      z: an array [N, ...], or a pytree of them.
      average: the decay, at a step, of the running mean of the parameters that is looked at and
        returned in place of the last ones; 0: the last ones.
      fresh: of the number of a look, what takes the place of z from there on, like z; None: z
        stays. What is held out stays in any case.

    Raises:
      RunError: a loss that is not finite.
    """
    import jax
    import jax.numpy as jnp
    import optax

    from vae.probability import noise

    def part_of(z: Any, rows: slice) -> Any:
        return jax.tree.map(lambda a: jnp.asarray(a[rows]), z)

    count = len(jax.tree.leaves(z)[0])
    cut = count - max(1, count // 10)
    seen, held = part_of(z, slice(cut)), part_of(z, slice(cut, None))
    part = -(-steps // CHECKS)
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, CHECKS * part))

    @jax.jit
    def mean_loss(params: Any, z: Any, key: jax.Array) -> jax.Array:
        return loss(params, z, jax.random.split(key, len(jax.tree.leaves(z)[0]))).mean()

    @jax.jit
    def advance(state: Any, seen: Any, key: jax.Array) -> Any:
        def step(state: Any, key: jax.Array) -> Any:
            params, moments, mean, number = state
            rows, draws = jax.random.split(key)
            rows = jax.random.randint(rows, (min(batch, cut),), 0, cut)
            some = jax.tree.map(lambda a: a[rows], seen)
            gradient = jax.grad(mean_loss)(params, some, draws)
            updates, moments = optimizer.update(gradient, moments)
            params = optax.apply_updates(params, updates)
            # At first a mean over all steps so far, so that the start is soon forgotten.
            decay = jnp.minimum(average, number / (number + 10.0))
            mean = jax.tree.map(lambda m, p: decay * m + (1.0 - decay) * p, mean, params)
            return (params, moments, mean, number + 1.0), None

        return jax.lax.scan(step, state, jax.random.split(key, part))[0]

    def of_held(params: Any) -> float:  # some at a time, which may be large inside
        total = 0.0
        for start in range(0, count - cut, BATCH):
            some = part_of(held, slice(start, start + BATCH))
            key = jax.random.fold_in(noise.key_for(seed, "validate"), start)
            total += len(jax.tree.leaves(some)[0]) * float(mean_loss(params, some, key))
        return total / (count - cut)

    state, losses = (params, optimizer.init(params), params, jnp.zeros(())), []
    for number in range(CHECKS + 1):
        losses.append(of_held(state[2]))
        if not np.isfinite(losses[-1]):
            raise RunError("the density's loss is not finite: fit it with a smaller `rate`")
        if losses[-1] == min(losses):
            params, found = state[2], number
        if number in (CHECKS, found + PATIENCE):
            break
        other = fresh(number) if fresh and number else None
        if other is not None:
            seen = part_of(other, slice(cut))
        key = jax.random.fold_in(noise.key_for(seed, "train"), number)
        state = advance(state, seen, key)
    return params
