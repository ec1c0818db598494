"""Which weights a term teaches: functions that keep a value and stop, isolate or scale its
gradient."""

import jax

from vae.models import Model


def gradient_only(a: jax.Array) -> jax.Array:
    """0, with the gradient of `a`: added to a loss, it changes the gradient and not the value."""
    return a - jax.lax.stop_gradient(a)


def frozen(model: Model) -> Model:
    """The same bound model, with no gradient to any of its own weights."""
    module, variables = model.unbind()
    return module.bind(jax.lax.stop_gradient(variables))


@jax.custom_jvp
def scale_gradient(x: jax.Array, weight: jax.Array) -> jax.Array:
    """x itself, whose derivative is multiplied by `weight` on its way back."""
    return x


@scale_gradient.defjvp
def _scale_gradient_jvp(primals, tangents):
    (x, weight), (tangent, _) = primals, tangents
    return x, weight * tangent
