"""An objective whose latents have to tell properties of an example."""

import jax
import jax.numpy as jnp

from vae.models import Model
from vae.objectives import require
from vae.objectives.elbo import Hyper, Terms, infer
from vae.objectives.facts import states

__all__ = ["property_vae"]


@states(regressor=True, terms={"squared_error": ("Context's error $|c - f(z)|^2/2$", "")})
def property_vae(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """distortion + `beta` * rate + `regression` * |c - f(z)|^2 / 2, for a context c that the model
    predicts from z (Gomez-Bombarelli et al. 2018, "Property prediction").

    """
    require.parts(property_vae, model)
    _, z, terms = infer(model, x, keys)
    squared = 0.5 * jnp.square(model.context - model.predict(z)).sum(-1)
    loss = terms["distortion"] + hyper["beta"] * terms["rate"] + hyper["regression"] * squared
    return {"loss": loss, **terms, "squared_error": squared}
