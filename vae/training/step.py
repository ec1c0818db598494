"""One training step, written once, and the compiled loop of many that jit or pmap wraps."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vae.data import binarization
from vae.data.observe import scale
from vae.model import variables
from vae.probability import noise
from vae.training import optimizers
from vae.training.program import Hyper, Program, hyper_at
from vae.training.state import State

AXIS = "device"  # name of pmap's axis

def batch_loss(
    params: Any, program: Program, hyper: Hyper, raw: jax.Array, keys: jax.Array, axis: str | None
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The mean loss of a batch and the means of the objective's terms, in nats per example."""
    if program.binarize:
        x = binarization.dynamic(noise.fold(keys, 0), raw, program.levels)
    else:
        x = scale(raw, program.levels)
    latents = hyper["latent_size"] if program.masked else None
    model = program.model.bind(variables(program.model, params, latents))
    terms = program.objective(model, x, noise.fold(keys, 1), hyper, axis)
    means = {name: term.mean() for name, term in terms.items()}
    return means["loss"], means


def gradients(
    params: Any, program: Program, hyper: Hyper, raw: jax.Array, keys: jax.Array, axis: str | None
) -> tuple[Any, dict[str, jax.Array]]:
    """Gradient of the global batch's mean loss, and the terms' means over the global batch."""
    if axis is not None:
        # Marked as differing by device, so that the gradient stays local until the one pmean below;
        # without it the sum over devices happens inside the gradient and the mean counts it again.
        params = jax.tree.map(lambda p: jax.lax.pcast(p, axis, to="varying"), params)
    gradient, means = jax.grad(batch_loss, has_aux=True)(params, program, hyper, raw, keys, axis)
    return (gradient, means) if axis is None else jax.lax.pmean((gradient, means), axis)


def apply_update(
    program: Program, state: State, gradient: Any, norm: jax.Array, hyper: Hyper
) -> tuple[Any, Any, Any]:
    """Clip, optimiser, learning rate, weight decay, averaged weights."""
    params, opt_state = optimizers.update(
        program.optimizer, hyper, gradient, norm, state.opt_state, state.params
    )
    ema = state.ema
    if program.ema:
        ema = jax.tree.map(lambda a, p: a + (1.0 - hyper["ema"]) * (p - a), ema, params)
    return params, opt_state, ema


def train_step(
    program: Program, state: State, hyper: Hyper, raw: jax.Array, axis: str | None = None
) -> State:
    """One update from this device's rows `raw` [B, *shape] of the global batch."""
    now = hyper_at(program, hyper, state.step)
    index = jnp.arange(raw.shape[0])  # positions in the global batch
    if axis is not None:
        index = index + jax.lax.axis_index(axis) * raw.shape[0]
    key = jax.random.fold_in(noise.key_for(hyper["seed"], "train"), state.step)
    keys = noise.example_keys(key, index)

    gradient, means = gradients(state.params, program, now, raw, keys, axis)
    means["gradient_norm"] = optimizers.norm(gradient)
    values = jnp.stack([means[name] for name in program.terms])
    finite = jnp.isfinite(values)
    good = finite.all()

    updated = apply_update(program, state, gradient, means["gradient_norm"], now)
    if program.skip_nonfinite:
        kept = (state.params, state.opt_state, state.ema)
        updated = jax.tree.map(lambda new, old: jnp.where(good, new, old), updated, kept)
    params, opt_state, ema = updated
    logged = {"steps": jnp.ones(()), **dict(zip(program.terms, values, strict=True))}
    bad = (~good).astype(jnp.int32)
    return state.replace(
        step=state.step + 1,
        params=params,
        opt_state=opt_state,
        ema=ema,
        sums={name: state.sums[name] + jnp.where(good, logged[name], 0.0) for name in state.sums},
        nonfinite_in_row=(state.nonfinite_in_row + 1) * bad,
        nonfinite_total=state.nonfinite_total + bad,
        blamed=jnp.where(good, state.blamed, jnp.argmin(finite).astype(jnp.int32)),
    )


def halted(program: Program, state: State) -> jax.Array:
    """More non-finite steps in a row than are tolerated: the run must stop."""
    return state.nonfinite_in_row > program.skip_nonfinite


def many_steps(
    program: Program,
    state: State,
    hyper: Hyper,
    examples: jax.Array | None,
    feed: jax.Array,
    count: jax.Array,
    axis: str | None = None,
) -> State:
    """`count` steps in one compiled loop, fewer where the run halts.

    Args:
      examples: the raw training set [N, *shape] on the device, or None where `feed` holds batches.
      feed: rows of `examples` [T, B], or raw batches [T, B, *shape]; the first `count` of the T
        are used, so that calls of every length share one compilation.
    """

    def unfinished(carry: tuple[jax.Array, State]) -> jax.Array:
        return (carry[0] < count) & ~halted(program, carry[1])

    def body(carry: tuple[jax.Array, State]) -> tuple[jax.Array, State]:
        number, state = carry
        rows = feed[number]
        raw = rows if examples is None else examples[rows]
        return number + 1, train_step(program, state, hyper, raw, axis)

    return jax.lax.while_loop(unfinished, body, (jnp.zeros((), jnp.int32), state))[1]


def compile_loop(program: Program, parallel: str) -> Callable[..., State]:
    """`(state, hyper, examples, feed, count) -> state`, jitted or pmapped; `state` is donated.

    With pmap the batch is spread over the devices: `feed` has a leading axis of local devices;
    state, hyper and examples have none.
    """
    if parallel == "jit":
        return jax.jit(lambda *args: many_steps(program, *args), donate_argnums=0)
    return jax.pmap(
        lambda *args: many_steps(program, *args, axis=AXIS),
        axis_name=AXIS,
        in_axes=(None, None, None, 0, None),
        out_axes=None,
        donate_argnums=0,
    )


def compile_population(program: Program, per_device: int) -> Callable[..., State]:
    """As `compile_loop`, for many runs at once, each on one device and none knowing of another.

    All arguments but `examples` have two leading axes, [devices, per_device]. Several runs of one
    device go through `vmap`: that fills an accelerator, and is slower than one at a time on CPUs.
    """

    def one(state: State, hyper: Hyper, feed: jax.Array, count: jax.Array, examples: Any) -> State:
        return many_steps(program, state, hyper, examples, feed, count)

    def population_steps(
        states: State, hyper: Hyper, examples: jax.Array, feed: jax.Array, count: jax.Array
    ) -> State:
        if per_device > 1:
            return jax.vmap(one, (0, 0, 0, 0, None))(states, hyper, feed, count, examples)
        only = jax.tree.map(lambda a: a[0], (states, hyper, feed, count))
        return jax.tree.map(lambda a: a[None], one(*only, examples))

    return jax.pmap(population_steps, in_axes=(0, 0, None, 0, 0), donate_argnums=0)
