"""An encoder, an objective with two keys and a critic, a likelihood, a prior and a metric."""

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from vae.keys import Key
from vae.metrics import Kind, by_name
from vae.networks import critics
from vae.networks.layers import Network
from vae.objectives.elbo import infer
from vae.objectives.facts import states
from vae.objectives.gradients import frozen, gradient_only
from vae.probability import gaussian, noise
from vae.probability.elementwise import flat
from vae.probability.gaussian_priors import Prior
from vae.protocols import Likelihood
from vae.rules import length, some_wholes, whole

SPREAD = Kind("lab_spread", "Spread of the posterior means", "none")


class encoder(Network):  # noqa: N801
    """One wide layer of sines."""

    keys: ClassVar[dict[str, Key]] = {"sines": Key(12, whole(1), "width of the layer")}
    sines: int = 12
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, keys: Any = None, context: Any = None) -> jax.Array:
        return jnp.sin(nn.Dense(self.sines, dtype=self.dtype)(x.reshape(len(x), -1)))


def judge(*, judge_hidden: tuple[int, ...]) -> nn.Module:
    """Dense layers of these widths."""
    return critics.mlp(tuple(judge_hidden))


@states(
    examples=2,
    critic=judge,
    terms={"match": "Log density ratio"},
    keys={
        "match": Key(1.0, length, "weight of the log density ratio"),
        "judge_hidden": Key((8,), some_wholes, "widths of the critic"),
    },
)
def matched(model: Any, x: jax.Array, keys: jax.Array, hyper: Any, axis: Any = None) -> Any:
    """distortion + match * log q(z) / p(z), by a critic."""
    _, z, terms = infer(model, x, keys)
    other = model.prior.sample(noise.fold(keys, 2))
    drawn, wanted = (model.judge(jax.lax.stop_gradient(codes)) for codes in (z, other))
    learns = 0.5 * (jax.nn.softplus(-drawn) + jax.nn.softplus(wanted))
    terms |= {"match": frozen(model).judge(z), "judge_loss": learns}
    loss = terms["distortion"] + hyper["match"] * terms["match"]
    return {"loss": loss + gradient_only(learns), **terms}


class scaled(Prior):  # noqa: N801
    """N(0, diag(exp(logvar))), with learned variances."""

    def setup(self) -> None:
        self.logvar = self.param("logvar", nn.initializers.zeros, (self.latent_size,))

    def sample(self, keys: jax.Array, temperature: Any = 1.0) -> jax.Array:
        return gaussian.sample(
            temperature * noise.normal(keys, (self.latent_size,)), 0.0, self.logvar
        )

    def log_prob(self, z: jax.Array) -> jax.Array:
        return gaussian.log_prob(z, 0.0, self.logvar).sum(-1)


@dataclasses.dataclass(frozen=True)
class logistic(Likelihood):  # noqa: N801
    """Logistic numbers of scale 1 around theta."""

    kinds = ("real", "grey")

    def channels(self, data_channels: int) -> int:
        return data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        return mean

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        away = flat(x, x) - flat(theta, x)
        return (-away - 2.0 * jax.nn.softplus(-away)).sum(-1)

    def mean(self, theta: jax.Array) -> jax.Array:
        return theta

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        return theta + jax.random.logistic(key, theta.shape)


def dataset(data: Any) -> dict[str, np.ndarray]:
    """Points near a curve, of two kinds."""
    rng = np.random.default_rng(data.split)
    way, kind = rng.uniform(-1.0, 1.0, 300), rng.integers(0, 2, 300)
    x = np.stack([way, way**2 + kind, np.sin(3.0 * way), kind - way], 1)
    return {"x": x + 0.05 * rng.normal(size=x.shape), "labels": kind}


def picture(run: Any) -> Any:
    """How wide the posteriors are.

    Of the first test examples.
    """
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(run.encode(run.examples("test", 20))[1].mean(1))
    return figure


def spread(subject: Any) -> Any:
    """The standard deviation of each posterior mean, over the data, and their mean."""
    return by_name(SPREAD(subject.posterior_mean.std(0), "latent units")), {}
