"""The calibrated decoder: a Gaussian likelihood whose variance is the best for the batch."""

import jax
import jax.numpy as jnp

from vae.errors import UserError
from vae.models import Model
from vae.objectives import coupling
from vae.objectives.elbo import Hyper, Terms, draw
from vae.objectives.facts import states
from vae.objectives.gradients import gradient_only
from vae.probability import gaussian

__all__ = ["sigma_vae"]


@states(coupled=True, terms={"optimal_sigma": ("Optimal $\\sigma$", "")})
def sigma_vae(
    model: Model, x: jax.Array, keys: jax.Array, hyper: Hyper, axis: str | None = None
) -> Terms:
    """distortion at the optimal sigma + `beta` * rate (Rybkin et al. 2021, eq. 6: sigma-VAE).

    The optimal sigma^2 is the mean squared error over the pixels of the global batch, so it couples
    the batch. It depends on x, so it gives no density to report. The model's own learned sigma
    follows it by gradient steps, and elbo and distortion use that one.

    Raises:
      UserError: the likelihood has no learned sigma.
    """
    if not model.likelihood.learned_sigma:
        raise UserError(
            "objective.name='sigma_vae' sets the variance of model.likelihood=gaussian_learned: "
            f"{type(model.likelihood).__name__} has none to set"
        )
    joint = draw(model, x, keys)
    rate = joint.kl.sum(-1)
    mu, logvar = (a.reshape(len(x), -1) for a in model.likelihood.split(joint.theta[0]))
    x = x.reshape(len(x), -1)
    squared_error = jnp.square(x - mu).mean(-1)  # [B]
    optimal = jnp.log(coupling.mean(squared_error, axis))
    calibrated = -gaussian.log_prob(x, mu, optimal).sum(-1)
    own = -gaussian.log_prob(x, jax.lax.stop_gradient(mu), logvar).sum(-1)
    terms = {
        "elbo": -(own + rate),
        "distortion": own,
        "rate": rate,
        "optimal_sigma": jnp.broadcast_to(jnp.exp(0.5 * optimal), rate.shape),
    }
    loss = calibrated + hyper["beta"] * rate
    return {"loss": loss + gradient_only(own), **terms}  # the learned sigma's gradient
