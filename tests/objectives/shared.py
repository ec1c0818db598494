"""Settings and checks that tests of several objectives share.

Small models with random weights, whole objectives compiled: what is slow here is to compile.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from tests.helpers import small_config
from tests.margins import fixed_rng
from vae import models
from vae.probability import noise, priors
from vae.probability.distributions import Diagonal
from vae.protocols import Joint
from vae.training import chosen_objective as setting
from vae.training import setup

PIXELS = 6
CLASSES = 3
CLASSIFIED = {"data__context": "labels", "model__classifier": "mlp"}
CODES = {"model__name": "vqvae", "model__codes": 4, "model__code_size": 2, "model__prior_width": 4}
NEEDS = {  # what an objective needs of the rest of the config
    "m2": CLASSIFIED,
    "supervised": CLASSIFIED,
    "property_vae": {"data__context": "labels", "model__regressor": "mlp"},
    "sigma_vae": {"data__binarization": "none", "model__likelihood": "gaussian_learned"},
    "vq": CODES,
}


def hyper(**values):
    return {name: np.float32(value) for name, value in values.items()}


def keys_for(count, seed=0):
    return noise.example_keys(jax.random.key(seed), jnp.arange(count))


def context_for(config, count):
    """Classes of which every other is not known, one-hot [count, CLASSES]; None for no context."""
    if not config.data.context:
        return None
    known = np.arange(count) % 2 == 0
    return np.eye(CLASSES, dtype=np.float32)[np.arange(count) % CLASSES] * known[:, None]


def build_model(config, shape, **settings):
    """The config's model, with the critic and the context that its objective needs."""
    settings["context_size"] = CLASSES if config.data.context else 0
    return models.from_config(config.model, shape, critic=setting.critic(config), **settings)


@functools.cache
def model_and_params(latent_size=3, name="elbo", dtype="float32"):
    """A model of vectors of bits that fits the objective, and random weights for it."""
    config = small_config(model__hidden=(4,), **NEEDS.get(name, {}))
    config.objective.name, config.objective.critic_hidden = name, (5,)
    config.model.latent_size, config.model.dtype = latent_size, dtype
    model = build_model(config, (PIXELS,))
    shapes = jax.eval_shape(lambda: models.initialise(model, (PIXELS,)))
    rng = fixed_rng(1)
    return model, jax.tree.map(lambda p: 0.4 * rng.normal(size=p.shape).astype(np.float32), shapes)


def bind(name, model, params, count, latents=None):
    """The model of objective `name`, bound for `count` examples."""
    context = context_for(small_config(**NEEDS.get(name, {})), count)
    return model.bind(models.variables(model, params, latents, context))


def bits(count):
    return fixed_rng(2).integers(0, 2, (count, PIXELS)).astype(np.float32)


def chosen(name, **changes):
    """The objective with its static settings."""
    return setting.build(small_config(objective__name=name, **changes))


def evaluate(name, values, **changes):
    """The terms of 20 examples, and the bound model, data and keys that they came from."""
    objective, (model, params) = chosen(name, **changes), model_and_params(name=name)
    x, keys = bits(20), keys_for(20)

    @jax.jit
    def terms(params, x, keys, values):
        return objective(bind(name, model, params, 20), x, keys, values)

    bound = bind(name, model, params, 20)
    return terms(params, x, keys, values), (bound, x, keys)


class Given:
    """Stands in for a model: q(z|x) = N(x, std^2), and nothing to reconstruct."""

    mask, layers = None, 1

    def __init__(self, latent_size, std):
        self.prior, self.std = priors.normal(latent_size), std
        self.log_prior = self.prior.log_prob

    def encode(self, x, keys=None):
        return Diagonal(x, jnp.full_like(x, 2.0 * np.log(self.std)))

    def joint(self, q, x, keys, first=0, count=1, dropout=None):
        z, log_q = q.sample_and_log_prob(keys, first, count)
        nothing = jnp.zeros((count, len(x)))
        return Joint(q, z, z, nothing, self.log_prior(z), log_q, self.prior.kl(q))


def traced():
    numbers = setup.hyperparameters(small_config(objective__decoder_penalty=0.1))
    return numbers | {"beta": np.float32(2.0), "num_examples": np.float32(120)}


def check_slope(name, **changes):
    """The gradient along a random direction against a finite difference, in float64."""
    objective = chosen(name, **changes)
    with jax.enable_x64(True):
        model, params = model_and_params(name=name, dtype="float64")
        values = {k: np.float64(v) for k, v in traced().items()}
        x, keys = bits(5).astype(np.float64), keys_for(5)
        params = jax.tree.map(np.float64, params)

        def loss(params):
            return objective(bind(name, model, params, 5), x, keys, values)["loss"].mean()

        value_and_grad = jax.jit(jax.value_and_grad(loss))
        rng = np.random.default_rng(1)
        direction = jax.tree.map(lambda p: rng.normal(size=p.shape), params)
        grad = value_and_grad(params)[1]
        along = sum(jax.tree.leaves(jax.tree.map(np.vdot, grad, direction)))

        def shifted(step):
            return value_and_grad(jax.tree.map(lambda p, d: p + step * d, params, direction))[0]

        numeric = (shifted(1e-5) - shifted(-1e-5)) / 2e-5
        np.testing.assert_allclose(numeric, along, rtol=1e-5)
