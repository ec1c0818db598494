"""What models, posteriors, priors, likelihoods and objectives are to everything that uses them.

Also the guide to writing one. Inherit from the protocol, or from the Flax base class that does
(`vae.models.Model`, `probability.gaussian_posteriors.Posterior`, `gaussian_priors.Prior`), give
what has no default here, and export the name from the module that lists the choices; or write it in
a module of your own, and name it `package.module:name` in the config. Fields are set from the
config keys of the same names: `model.*`, and for objectives `objective.*`; a part from outside
declares further ones in an attribute `keys`, a mapping from names to `vae.keys.Key`.

Everything else that the code needs to know of one of these is an attribute declared here. B
examples, L latents, K draws; densities and divergences are in nats. `x` is [B, *shape] in the
likelihood's own space: {0, 1} for a Bernoulli, [0, 1] for grey images, whole numbers for counts and
tokens; of a table of columns NaN is a missing cell. Keys [B] are one an example.
"""

from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

Terms = dict[str, jax.Array]  # of an objective, by name: [B] each
BOUND = ("elbo", "distortion", "rate")  # terms of every objective: those of beta = 1
Hyper = dict[str, Any]  # traced scalars, by name: NumPy's on the host, JAX's in a step


class Distribution(Protocol):
    """q(z|x) of each of B examples, as a pytree of arrays."""

    has_density: ClassVar[bool] = False  # `log_prob` gives it at any z, not only at own draws

    @property
    def mean(self) -> jax.Array:
        """Of z: [B, L]."""

    @property
    def std(self) -> jax.Array:
        """Of each latent by itself: [B, L]."""

    def sample_and_log_prob(
        self, keys: jax.Array, first: jax.Array | int = 0, count: int = 1
    ) -> tuple[jax.Array, jax.Array]:
        """For each of the B keys the draws number first .. first + count - 1, z [count, B, L], and
        their log q(z|x) [count, B], both differentiable by all parameters of q. A draw depends on
        its key and number alone."""

    def sample(self, keys: jax.Array, first: jax.Array | int = 0, count: int = 1) -> jax.Array:
        """Those draws: z [count, B, L]."""
        return self.sample_and_log_prob(keys, first, count)[0]

    def log_prob(self, z: jax.Array) -> jax.Array:
        """log q(z|x) for z [..., B, L]: [..., B]. Only where `has_density`."""
        raise TypeError(f"{type(self).__name__} has the density of its own draws alone")

    def log_prob_each(self, z: jax.Array) -> jax.Array:
        """log q(z|x) of each of the B examples at every z [..., L]: [..., B]."""
        return self.log_prob(z[..., None, :])

    def masked(self, mask: jax.Array) -> Any:
        """N(0, 1) in the latents that `mask` [L] leaves out. Only of a `maskable` posterior."""
        raise TypeError(f"{type(self).__name__} has no mask")


class Posterior(Protocol):
    """From the encoder's features to q(z|x); a Flax module."""

    latent_size: int
    distribution: ClassVar[type[Distribution]]  # of what it gives
    maskable: ClassVar[bool] = False  # each latent has features of its own, so some can be left out
    euclidean: ClassVar[bool] = True  # z is any of R^L

    def __call__(self, features: jax.Array) -> Distribution:
        """q(z|x) for features [B, F]."""


class Prior(Protocol):
    """p(z); a Flax module. Its methods also get the context where it `takes_context`, and the
    posterior of its `inputs` where it `takes_posterior`."""

    latent_size: int
    analytic: ClassVar[tuple[type, ...]] = ()  # the types of q for which there is `kl`
    maskable: ClassVar[bool] = False  # latents are independent, so some can be left out
    standard: ClassVar[bool] = False  # mean and scale of each latent are 0 and 1
    euclidean: ClassVar[bool] = True  # z is any of R^L and has a density there
    takes_posterior: ClassVar[bool] = False
    takes_context: ClassVar[bool] = False  # [B, C]

    def sample(self, keys: jax.Array, *given: Any, **options: Any) -> jax.Array:
        """One draw a key: z [B, L]. The one option, `temperature`, scales the Gaussian noise of the
        draw: a number or [B, 1], by default 1."""

    def log_prob(self, z: jax.Array, *given: Any) -> jax.Array:
        """log p(z) for z [..., L]: [...]."""

    def kl(self, q: Any, *given: Any) -> jax.Array:
        """KL(q(z|x) || p(z)) in closed form, [B, G]: G independent parts, one per latent where that
        is possible. Only for q of a type in `analytic`."""
        raise TypeError(f"{type(self).__name__} has no analytic KL")

    def inputs(self) -> jax.Array:
        """Its own examples [C, *shape]; only where it `takes_posterior`, which is the posterior of
        these."""
        raise TypeError(f"{type(self).__name__} has no inputs")


class Likelihood(Protocol):
    """p(x|z), a small frozen dataclass. Its parameters are the decoder's outputs theta [..., H, W,
    channels], block after block. x is [B, H, W, C], or [B, D, 1] for vectors. The field `levels` is
    the data set's."""

    kinds: ClassVar[tuple[str, ...]]  # the data: binary, grey, real, counts, tokens, columns
    vectors: ClassVar[bool] = False  # of those only [B, D]
    # x takes one of a fixed number of values and log_prob is a log probability, so bits per
    # dimension are legal. Not so for densities, nor for counts, which have no upper bound.
    discrete: ClassVar[bool] = False
    shares: ClassVar[bool] = False  # `mean` is of one draw: numbers that sum to 1, as of likes
    learned_sigma: ClassVar[bool] = False  # that number is the log variance of a Gaussian

    def channels(self, data_channels: int) -> int:
        """Decoder outputs a pixel of C channels, without those of `num_scalars`."""

    def decoded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that a decoder is to give `channels` outputs a pixel of, for x of `shape`."""
        return shape

    @property
    def own_latents(self) -> int:
        """How many of the first latents are the likelihood's, unseen by the decoder."""
        return 0

    @property
    def scalars_by_context(self) -> bool:
        """Whether the learned numbers are [C S], S for each of the context's C numbers."""
        return False

    @property
    def num_scalars(self) -> int:
        """How many numbers are learned beside the decoder."""
        return len(self.initial_scalars())

    def initial_scalars(self) -> np.ndarray:
        """Where the `num_scalars` learned numbers start: [num_scalars]."""
        return np.zeros(0, np.float32)

    def joined(self, theta: jax.Array, scalars: jax.Array) -> jax.Array:
        """A decoder's outputs [..., H, W, channels] and the learned numbers [num_scalars] as theta:
        a further block of channels each. Where `scalars_by_context`, those of each example [B, S]:
        its context times [C, S]."""
        each = [jnp.broadcast_to(scalar, theta.shape) for scalar in scalars]
        return jnp.concatenate([theta, *each], axis=-1)

    def with_latents(self, theta: jax.Array, z: jax.Array) -> jax.Array:
        """theta [..., B, H, W, channels], joined, and the `own_latents` z [..., B, own] as theta.
        Only where there are some."""
        raise TypeError(f"{type(self).__name__} takes no latents")

    def encoder_input(self, x: jax.Array) -> jax.Array:
        """What the encoder sees of x [B, *shape]."""
        return x

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """Decoder outputs [H, W, channels] whose mean is the data's [H, W, C], to start at."""

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z): [..., B], constants included, computed in float32.

        It and its gradient are finite for any outputs, unless the log scale of a Gaussian or
        Laplace, which has no bound, leaves float32. The only bound on the others' log scales is
        `elementwise.bounded`.
        """

    def log_table(self, theta: jax.Array, x: jax.Array, channel: int) -> jax.Array:
        """log p of every value that channel number `channel` of a pixel may take, given z and the
        channels before it in x [..., B, H, W, C]: [..., B, H, W, levels], 0 first. Only where
        `discrete`: the sum over channels and pixels, at x, is `log_prob`."""
        raise TypeError(f"{type(self).__name__} has no table of values")

    def split(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log variance of each pixel. Only where `learned_sigma`."""
        raise TypeError(f"{type(self).__name__} is not Gaussian")

    def mean(self, theta: jax.Array) -> jax.Array:
        """E[x|z]: [..., H, W, C]."""

    def shares_of(self, theta: jax.Array) -> jax.Array:
        """Each value's share of all counts: [..., D, 1]. Only of counts that have such."""
        raise TypeError(f"{type(self).__name__} has no shares")

    def expected(self, theta: jax.Array) -> jax.Array:
        """What to take an average of, over theta at several z, where one is wanted of `mean`:
        [..., *], such as the probabilities whose mode `mean` is."""
        return self.mean(theta)

    def of_expected(self, expected: jax.Array) -> jax.Array:
        """Such an average as `mean` gives values."""
        return expected

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """One x of p(x|z): [..., H, W, C]."""


class Joint(NamedTuple):
    """K draws of q(z|x) for each of B examples, and the terms of the bounds at them, in nats."""

    q: Any  # the posterior, as `encode` gives it
    z: jax.Array  # [K, B, L]
    theta: jax.Array  # the likelihood's parameters [K, B, H, W, channels]
    log_likelihood: jax.Array  # log p(x|z) [K, B]
    log_prior: jax.Array  # log p(z) [K, B]
    log_q: jax.Array  # log q(z|x) [K, B]
    kl: jax.Array  # KL(q(z|x) || p(z)) in G parts that add up to it [B, G]

    @property
    def log_weight(self) -> jax.Array:
        """log p(x, z) / q(z|x) [K, B]."""
        return self.log_likelihood + self.log_prior - self.log_q


class Model(Protocol):
    """p(z) p(x|z) and q(z|x); a Flax module. All latents of an example are one vector z [L],
    whatever their layout, so everything outside sees one kind of model."""

    latent_size: int  # L, of all latents
    context_size: int  # C, numbers that the model is given or predicts beside x; 0: none
    likelihood: Likelihood
    regressor: Any  # predicts the context from z; None: there is none, as of the next two
    classifier: Any  # tells the context, of classes, from x
    critic: Any  # of z, trained beside the model by the objectives that have one
    maskable: bool = False  # some latents can be left out, where posterior and prior allow it
    takes_context: bool = False  # it can be given a context
    takes_sequences: bool = False  # its decoder may go along a sequence
    codes: int = 0  # of its codebook, or of all of them; 0: it has none
    streams: int = 1  # codes of a position, each of a codebook of its own

    @property
    def sizes(self) -> tuple[int, ...]:
        """Latents of each layer, the one next to x first."""
        return (self.latent_size,)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """(H, W, C) of latents that are one map with neighbours, row by row; else (L,)."""
        return (self.latent_size,)

    @property
    def layers(self) -> int:
        """Number of layers of latents; where there are several, each has its own KL in
        `Joint.kl`."""
        return len(self.sizes)

    @property
    def distribution(self) -> type[Distribution]:
        """Of what `encode` gives."""

    @property
    def kl_estimate(self) -> str:
        """How `joint` computes the KL, whatever the weights: "analytic", "monte carlo", or
        "analytic given the layers above"."""

    @property
    def euclidean(self) -> bool:
        """Whether z is any of R^L and has a density there."""
        return True

    @property
    def standard(self) -> bool:
        """Whether the prior's mean and scale of each latent are 0 and 1."""
        return False

    @property
    def conditional(self) -> bool:
        """Whether the model is given the context, and does not predict it."""
        return bool(self.context_size) and self.regressor is None

    @property
    def chosen_by(self) -> str:
        """The setting that q(z|x) is chosen by, for messages."""
        return f"model.name={type(self).__name__!r}"

    @property
    def context(self) -> jax.Array:
        """What it is bound to beside its weights, where there is a context: [B, C]."""

    @property
    def mask(self) -> jax.Array | None:
        """Ones and zeros [L]: the latents that there are; None for all."""
        return None

    def encode(self, x: jax.Array, keys: jax.Array | None = None) -> Any:
        """q(z|x), a `Distribution`. `keys` here and in `decode` carry dropout's noise; None turns
        dropout off."""

    def decode(self, z: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """The likelihood's parameters theta [..., H, W, channels] for z [..., L]."""

    def theta(self, z: jax.Array, x: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """theta of p(x|z) for z [..., B, L]; a decoder along a sequence also sees x [B, *shape]."""

    def draw(self, keys: jax.Array, z: jax.Array) -> jax.Array:
        """One x of p(x|z) a key, for z [B, L]: [B, H, W, C]."""

    def log_prior(self, z: jax.Array) -> jax.Array:
        """log p(z) for z [..., L]: [...]."""

    def sample_prior(self, keys: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """One draw of p(z) a key: z [B, L]. The temperature scales the prior's noise."""

    def embed(self, indices: jax.Array) -> jax.Array:
        """z [..., L] of codes [..., positions, streams]. Only of a model that has `codes`."""
        raise TypeError(f"{type(self).__name__} has no codes")

    def joint(
        self,
        q: Any,
        x: jax.Array,
        keys: jax.Array,
        first: jax.Array | int = 0,
        count: int = 1,
        dropout: jax.Array | None = None,
    ) -> Joint:
        """Draws number first .. first + count - 1 of q(z|x), K = count, and every term of the
        bounds at them, in one pass. `dropout`: keys of its noise."""


class Objective(Protocol):
    """What is minimised: a pure function. Its other keyword-only arguments are read from the keys
    of `config.objective` and fixed when a step is compiled. `objectives.facts.states` states what
    else is true of it; an objective that states nothing needs only a batch."""

    def __call__(
        self,
        model: Model,
        x: jax.Array,
        keys: jax.Array,
        hyper: Hyper,
        axis: str | None = None,
    ) -> Terms:
        """The terms of each example: [B] nats. The caller takes the mean.

        Args:
          model: bound to its parameters.
          keys: numbers 0, 1, ... are folded in for independent uses.
          hyper: beta, gamma, capacity, ... at this step, and num_examples.
          axis: name of the mapped device axis, None on one device.
        """
