"""The parts that all models share, however their latents are laid out."""


import flax.linen as nn
import jax
import jax.numpy as jnp

from vae import protocols
from vae.errors import needed
from vae.networks.layers import dropout, widened
from vae.probability import noise
from vae.protocols import Joint

INPUT = 1000  # the input's number among the layers that drop values


class Model(nn.Module, protocols.Model, kw_only=True):
    """What every model inherits: see `vae.protocols.Model` for what it is to be."""

    likelihood: protocols.Likelihood
    latent_size: int  # L
    context_size: int = 0  # numbers that the model is given beside x; 0: none
    regressor: nn.Module | None = None  # z -> features [B, F], for `predict`
    input_dropout: float = 0.0  # share of what the encoder sees that is left out in training
    classifier: nn.Module | None = None  # x -> features [B, F], for `classify`
    critic: nn.Module | None = None  # of z, or of images: for objectives that train one

    def setup(self) -> None:
        """Declares the likelihood's parameters and the last layers of classifier and regressor."""
        if self.classifier is not None:
            self.classes = nn.Dense(self.context_size)
        if self.regressor is not None:
            self.predicted = nn.Dense(self.context_size)
        if self.likelihood.num_scalars:
            initial = self.likelihood.initial_scalars()
            self.scalars = self.param("likelihood", lambda key: jnp.asarray(initial))

    @property
    def context(self) -> jax.Array:
        """What the model is bound to beside its weights, where there is a context: numbers [B, C],
        one row an example."""
        if self.is_initializing():
            return jnp.zeros((1, self.context_size))
        return self.get_variable("context", "c")

    def encoder_input(self, x: jax.Array, keys: jax.Array | None) -> jax.Array:
        """What the encoder sees of x [B, *shape]."""
        seen = self.likelihood.encoder_input(x)
        return dropout(seen, keys, self.input_dropout, INPUT)

    def classify(self, x: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """log q(y|x) [B, C] by the classifier, whatever the context."""
        features = needed(self.classifier, "classifier")(self.likelihood.encoder_input(x), keys)
        return jax.nn.log_softmax(self.classes(widened(features)))

    def predict(self, z: jax.Array) -> jax.Array:
        """The regressor's prediction of the context [B, C] from z [B, L]."""
        z = z if self.mask is None else z * self.mask
        return self.predicted(widened(needed(self.regressor, "regressor")(z)))

    def with_scalars(self, theta: jax.Array) -> jax.Array:
        """theta [..., channels] and the likelihood's learned numbers."""
        if not self.likelihood.num_scalars:
            return theta
        scalars = self.scalars
        if self.likelihood.scalars_by_context:
            scalars = self.context @ scalars.reshape(self.context_size, -1)
        return self.likelihood.joined(theta, scalars)

    def through_decoder(
        self, z: jax.Array, keys: jax.Array | None, *given: jax.Array
    ) -> jax.Array:
        """theta [..., H, W, channels] by the module `decoder` at its inputs z [..., D].

        `given` [..., T] is the second input of a decoder along a sequence.

        Dropout's keys are those of the B examples; each of several draws z [K, B, D] has its own.
        """
        if keys is not None and z.ndim > 2:
            keys = jax.vmap(noise.fold, (None, 0))(keys, jnp.arange(z.shape[0])).reshape(-1)
        given = tuple(x.reshape(-1, x.shape[-1]) for x in given)
        theta = self.decoder(z.reshape(-1, z.shape[-1]), keys, *given)
        return self.with_scalars(theta.reshape(*z.shape[:-1], *theta.shape[1:]))

    def theta(self, z: jax.Array, x: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """The likelihood's parameters [..., B, H, W, channels] at x [B, *shape], z [..., B, L]."""
        return self.decode(z, keys)

    def draw(self, keys: jax.Array, z: jax.Array) -> jax.Array:
        """One x of p(x|z) a key, for z [B, L]: [B, H, W, C]."""
        return jax.vmap(self.likelihood.sample)(keys, self.decode(z))

    def log_likelihood(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z) for theta [..., B, *] and x [B, *shape]: [..., B] nats."""
        return self.likelihood.log_prob(theta, x.reshape(x.shape[0], *image_shape(x.shape[1:])))

    def mean(self, z: jax.Array) -> jax.Array:
        """E[x|z]: [..., H, W, C]."""
        return self.likelihood.mean(self.decode(z))

    def judge(self, z: jax.Array) -> jax.Array:
        """The critic's logits [...] for z [..., L]."""
        return needed(self.critic, "critic")(z if self.mask is None else z * self.mask)

    def judge_images(self, images: jax.Array) -> jax.Array:
        """The logits [B, ...] for images [B, H, W, C] of a critic of images."""
        return needed(self.critic, "critic")(images)

    def __call__(self, x: jax.Array, keys: jax.Array) -> Joint:
        """`joint` of one draw: touches every weight, for `init`."""
        joint = self.joint(self.encode(x), x, keys)
        if self.critic is not None and getattr(self.critic, "of_images", False):
            self.judge_images(x.reshape(x.shape[0], *image_shape(x.shape[1:])))
        elif self.critic is not None:
            self.judge(joint.z)
        if self.classifier is not None:
            self.classify(x)
        if self.regressor is not None:
            self.predict(joint.z[0])
        return joint


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """One example's shape with a channel axis: vectors [D] count as [D, 1]."""
    return tuple(shape) if len(shape) > 1 else (*shape, 1)
