"""One training step, written once, and the compiled loop of many that jit or pmap wraps.

With pmap a step sees its device's rows, and `axis` names the devices; over a `mesh` it sees the
global batch, as on one device, and says where its arrays lie.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from vae.data import binarization
from vae.data.observe import scale
from vae.models import variables
from vae.probability import noise
from vae.training import optimizers, sharding
from vae.training.program import Hyper, Program, hyper_at
from vae.training.state import State

AXIS = "device"  # name of pmap's axis

Batch = dict[str, jax.Array]  # x: raw examples [B, *shape]; context: [B, C], of a conditional model

def batch_loss(
    params: Any, program: Program, hyper: Hyper, batch: Batch, keys: jax.Array, axis: str | None
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The mean loss of a batch and the means of the objective's terms, in nats per example."""
    raw = batch["x"]
    if program.binarize:
        x = binarization.dynamic(noise.fold(keys, 0), raw, program.levels)
    else:
        x = scale(raw, program.levels)
    latents = hyper["latent_size"] if program.masked else None
    context = batch.get("context")
    model = program.model.bind(variables(program.model, params, latents, context))
    terms = program.objective(model, x, noise.fold(keys, 1), hyper, axis)
    means = {name: term.mean() for name, term in terms.items()}
    return means["loss"], means


def gradients(
    params: Any, program: Program, hyper: Hyper, batch: Batch, keys: jax.Array, axis: str | None
) -> tuple[Any, dict[str, jax.Array]]:
    """Gradient of the global batch's mean loss, and the terms' means over the global batch."""
    if axis is not None:
        # Marked as differing by device, so that the gradient stays local until the one pmean below;
        # without it the sum over devices happens inside the gradient and the mean counts it again.
        params = varying(params, axis)
    slope = slope_in_parts if program.accumulate > 1 else own_slope
    gradient, means = slope(params, program, hyper, batch, keys, axis)
    return (gradient, means) if axis is None else jax.lax.pmean((gradient, means), axis)


def varying(tree: Any, axis: str) -> Any:
    """Arrays that are the same on every device, marked as if they were not."""
    return jax.tree.map(lambda a: jax.lax.pcast(a, axis, to="varying"), tree)


def own_slope(
    params: Any, program: Program, hyper: Hyper, batch: Batch, keys: jax.Array, axis: str | None
) -> tuple[Any, dict[str, jax.Array]]:
    """Gradient of the mean loss of the batch at hand, and the terms' means over it."""
    return jax.grad(batch_loss, has_aux=True)(params, program, hyper, batch, keys, axis)


def slope_in_parts(
    params: Any, program: Program, hyper: Hyper, batch: Batch, keys: jax.Array, axis: str | None
) -> tuple[Any, dict[str, jax.Array]]:
    """As `own_slope`, by `program.accumulate` parts of the batch one after the other: what a step
    holds beside its weights is that of one part. Right where a loss is a mean over examples."""
    count = program.accumulate
    # Every count-th row: where the rows lie over a mesh, each device has its own of each part.
    parts = jax.tree.map(
        lambda a: a.reshape(-1, count, *a.shape[1:]).swapaxes(0, 1), (batch, keys)
    )

    def slope(part: tuple[Batch, jax.Array]) -> tuple[Any, dict[str, jax.Array]]:
        return own_slope(params, program, hyper, *part, axis)

    def add(total: Any, part: tuple[Batch, jax.Array]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, slope(part)), None

    shapes = jax.eval_shape(lambda parts: slope(jax.tree.map(lambda a: a[0], parts)), parts)
    none = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
    total, _ = jax.lax.scan(add, none if axis is None else varying(none, axis), parts)
    return jax.tree.map(lambda a: a / count, total)


def apply_update(
    program: Program, state: State, gradient: Any, norm: jax.Array, hyper: Hyper
) -> tuple[Any, Any, Any]:
    """Clip, optimiser, learning rate, weight decay, averaged weights."""
    params, opt_state = optimizers.update(
        program.optimizer, hyper, gradient, norm, state.opt_state, state.params
    )
    params = {
        name: state.params[name] if name in program.freeze else branch
        for name, branch in params.items()
    }
    ema = state.ema
    if program.ema:
        # Less at first: a mean of a thousand steps would hold on to the start for as many.
        decay = jnp.minimum(hyper["ema"], (1.0 + state.step) / (10.0 + state.step))
        ema = jax.tree.map(lambda a, p: a + (1.0 - decay) * (p - a), ema, params)
    return params, opt_state, ema


def train_step(
    program: Program,
    state: State,
    hyper: Hyper,
    batch: Batch,
    axis: str | None = None,
    mesh: jax.sharding.Mesh | None = None,
) -> State:
    """One update from the global batch, or with `axis` from this device's rows of it."""
    now = hyper_at(program, hyper, state.step)
    count = batch["x"].shape[0]
    index = sharding.rows(mesh, jnp.arange(count))  # positions in the global batch
    if axis is not None:
        index = index + jax.lax.axis_index(axis) * count
    key = jax.random.fold_in(noise.key_for(hyper["seed"], "train"), state.step)
    keys = noise.example_keys(key, index)

    gradient, means = gradients(state.params, program, now, batch, keys, axis)
    gradient = {
        name: jax.tree.map(jnp.zeros_like, branch) if name in program.freeze else branch
        for name, branch in gradient.items()
    }
    means["gradient_norm"] = optimizers.norm(gradient)
    values = jnp.stack([means[name] for name in program.terms])
    # The last of the terms is the gradient's norm, which has a bound besides.
    most = jnp.where(now["skip_norm"] > 0, now["skip_norm"], jnp.inf)
    fine = jnp.isfinite(values) & ((jnp.arange(len(values)) < len(values) - 1) | (values <= most))
    good = fine.all()

    updated = apply_update(program, state, gradient, means["gradient_norm"], now)
    if program.skip_steps:
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
        bad_in_row=(state.bad_in_row + 1) * bad,
        bad_total=state.bad_total + bad,
        blamed=jnp.where(good, state.blamed, jnp.argmin(fine).astype(jnp.int32)),
    )


def halted(program: Program, state: State) -> jax.Array:
    """More bad steps in a row than are skipped: the run must stop."""
    return state.bad_in_row > program.skip_steps


def many_steps(
    program: Program,
    state: State,
    hyper: Hyper,
    examples: Batch | None,
    feed: jax.Array,
    count: jax.Array,
    axis: str | None = None,
    mesh: jax.sharding.Mesh | None = None,
) -> State:
    """`count` steps in one compiled loop, fewer where the run halts.

    Args:
      examples: the raw training set on the device, or None where `feed` holds batches.
      feed: rows of `examples` [T, B], or raw batches of x [T, B, *shape]; the first `count` of the
        T are used, so that calls of every length share one compilation.
    """

    def unfinished(carry: tuple[jax.Array, State]) -> jax.Array:
        return (carry[0] < count) & ~halted(program, carry[1])

    def body(carry: tuple[jax.Array, State]) -> tuple[jax.Array, State]:
        number, state = carry
        rows = feed[number]
        if examples is None:
            batch = {"x": rows}
        else:
            batch = jax.tree.map(lambda array: array[rows], examples)
        batch = sharding.rows(mesh, batch)
        done = train_step(program, state, hyper, batch, axis, mesh)
        return number + 1, sharding.kept(mesh, done)

    return jax.lax.while_loop(unfinished, body, (jnp.zeros((), jnp.int32), state))[1]


def compile_loop(program: Program, parallel: str, devices: Sequence[Any] | None = None) -> Any:
    """`(state, hyper, examples, feed, count) -> state`, jitted or pmapped; `state` is donated.

    With pmap the batch is spread over the devices: `feed` has a leading axis of local devices;
    state, hyper and examples have none.

    Args:
      devices: that pmap spreads over; None: all that are here.
    """
    if parallel == "jit":
        return jax.jit(lambda *args: many_steps(program, *args), donate_argnums=0)
    return jax.pmap(
        lambda state, hyper, examples, feed, count: many_steps(
            program, state, hyper, examples, feed, count, AXIS
        ),
        axis_name=AXIS,
        in_axes=(None, None, None, 0, None),
        out_axes=None,
        donate_argnums=0,
        devices=devices,
    )


def compile_over(program: Program, mesh: jax.sharding.Mesh, state: State) -> Any:
    """As `compile_loop`, over a mesh: `feed` is global, its rows along BATCH; `state`, or one of
    its shapes, and what is returned lie by `sharding.rule`; hyper and examples are everywhere."""
    laid, whole = sharding.laid(mesh, state), sharding.whole(mesh)
    fed = jax.NamedSharding(mesh, jax.P(None, sharding.BATCH))
    return jax.jit(
        lambda state, hyper, examples, feed, count: many_steps(
            program, state, hyper, examples, feed, count, mesh=mesh
        ),
        in_shardings=(laid, whole, whole, fed, whole),
        out_shardings=laid,
        donate_argnums=0,
    )


def compile_population(
    program: Program, per_device: int, devices: Sequence[Any] | None = None
) -> Any:
    """As `compile_loop`, for many runs at once, each on one device and independent of the others.

    All arguments but `examples` have two leading axes, [devices, per_device]. Several runs of one
    device go through `vmap`: that fills an accelerator, and is slower than one at a time on CPUs.
    """

    def one(state: State, hyper: Hyper, feed: jax.Array, count: jax.Array, examples: Any) -> State:
        return many_steps(program, state, hyper, examples, feed, count)

    def population_steps(
        states: State, hyper: Hyper, examples: Batch, feed: jax.Array, count: jax.Array
    ) -> State:
        if per_device > 1:
            return jax.vmap(one, (0, 0, 0, 0, None))(states, hyper, feed, count, examples)
        state, hyper, feed, count = jax.tree.map(lambda a: a[0], (states, hyper, feed, count))
        return jax.tree.map(lambda a: a[None], one(state, hyper, feed, count, examples))

    axes = (0, 0, None, 0, 0)
    return jax.pmap(population_steps, in_axes=axes, donate_argnums=0, devices=devices)
