"""A part of one's own says no more of itself than what is not the default."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers import small_config
from vae import models
from vae.errors import UserError
from vae.probability import likelihoods, noise, priors
from vae.probability.elementwise import flat
from vae.probability.gaussian_priors import Prior
from vae.protocols import Likelihood


@dataclasses.dataclass(frozen=True)
class poisson(Likelihood):  # noqa: N801
    kinds = ("counts",)

    def channels(self, data_channels):
        return data_channels

    def output_bias(self, mean):
        return np.log(np.maximum(mean, 0.01))

    def log_prob(self, theta, x):
        log_mean, x = flat(theta, x), flat(x, x)
        return (x * log_mean - jnp.exp(log_mean) - jax.lax.lgamma(x + 1.0)).sum(-1)

    def mean(self, theta):
        return jnp.exp(theta)

    def sample(self, key, theta):
        return jax.random.poisson(key, jnp.exp(theta)).astype(jnp.float32)


class cauchy(Prior):  # noqa: N801
    def sample(self, keys, temperature=1.0):
        return jax.vmap(lambda key: jax.random.cauchy(key, (self.latent_size,)))(keys)

    def log_prob(self, z):
        return -jnp.log(jnp.pi * (1.0 + jnp.square(z))).sum(-1)


def test_a_model_is_made_of_them(monkeypatch):
    for module, part in ((likelihoods, poisson), (priors, cauchy)):
        monkeypatch.setattr(module, part.__name__, part, raising=False)
        monkeypatch.setattr(module, "__all__", [*module.__all__, part.__name__])
    config = small_config(model__likelihood="poisson", model__prior="cauchy").model
    model = models.from_config(config, (5,), kind="counts")
    assert (model.kl_estimate, model.euclidean, model.standard) == ("monte carlo", True, False)
    assert (model.layers, model.sizes, model.codes) == (1, (config.latent_size,), 0)
    assert not model.likelihood.discrete and not model.likelihood.vectors
    bound = model.bind(models.variables(model, models.initialise(model, (5,))))
    x, keys = jnp.ones((2, 5)), noise.example_keys(jax.random.key(0), np.arange(2))
    joint = bound.joint(bound.encode(x), x, keys, count=3)
    assert np.isfinite(joint.log_weight).all() and joint.kl.shape == (2, 1)
    assert bound.sample_prior(keys).shape == (2, config.latent_size)

    config.posterior = "von_mises_fisher"  # on a sphere, and the prior is not
    with pytest.raises(UserError, match="not on the same space"):
        models.from_config(config, (5,), kind="counts")
