"""The vector-quantised VAE: discrete latents, and an autoregressive prior over them."""


import flax.linen as nn
import jax
import jax.numpy as jnp

from vae.models.base import Model
from vae.models.codes import Codes, codebook, nearest, pulled
from vae.networks.layers import widened
from vae.networks.transformers import causal
from vae.protocols import Joint


class vqvae(Model, kw_only=True):  # noqa: N801  (the name is the config value)
    """P codes of a codebook of K, each D numbers (van den Oord et al. 2017); L = P D.

    p(z) is autoregressive over the codes' positions. It is learnt with the rest but cannot change
    the codes. As q(z|x) is a point, -log p(z) - log p(x|z) is a bound on -log p(x).
    """

    encoder: nn.Module  # what the likelihood makes of x for it -> features [B, F]
    decoder: nn.Module  # z [B, P D], or a map of it -> theta [B, H, W, channels]
    grid: tuple[int, ...]  # positions: (P,), or (height, width) of the encoder's feature map
    codes: int = 128  # K
    code_size: int = 16  # D
    codebook_update: str = "ema"
    prior_width: int = 64
    prior_depth: int = 2

    distribution = Codes
    kl_estimate = "analytic"
    euclidean = False

    def setup(self) -> None:
        """Declares the head, the codebook and the prior over codes."""
        super().setup()
        self.head = nn.Dense(self.code_size * (1 if self.spatial else self.positions))
        if self.codebook_update == "ema":
            self.averages = averages(self.codes, self.code_size)
        else:
            self.codebook = codebook(self.codes, self.code_size)
        self.prior = causal(self.codes, self.positions, self.prior_width, self.prior_depth)

    def table(self) -> jax.Array:
        """The codes [K, D]."""
        return self.averages() if self.codebook_update == "ema" else self.codebook()

    @property
    def spatial(self) -> bool:
        """Whether there is a code at each position of the encoder's feature map."""
        return len(self.grid) == 2

    @property
    def positions(self) -> int:
        """P, the codes of an example."""
        return self.latent_size // self.code_size

    def encode(self, x: jax.Array, keys: jax.Array | None = None) -> Codes:
        """The codes nearest to what the encoder makes of x [B, *shape]."""
        features = widened(self.encoder(self.encoder_input(x, keys), keys))
        if self.spatial:
            features = features.reshape(len(x), self.positions, -1)
        raw = self.head(features).reshape(len(x), self.positions, self.code_size)
        indices = self.nearest(raw)
        quantised = jnp.take(self.table(), indices, axis=0)
        pull = pulled(quantised, raw) if self.codebook_update == "gradient" else 0.0
        return Codes(raw, indices, quantised, commitment=pulled(raw, quantised), pull=pull)

    def nearest(self, raw: jax.Array) -> jax.Array:
        """Indices [...] of the codes next to vectors [..., D]."""
        return nearest(raw, self.table())

    def decode(self, z: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """The likelihood's parameters theta [..., H, W, channels] for z [..., P D]."""
        return self.through_decoder(z, keys)

    def log_prior(self, z: jax.Array) -> jax.Array:
        """log p(z) [...] nats, of the codes next to z [..., P D]."""
        raw = z.reshape(-1, self.positions, self.code_size)
        return self.log_prob(self.nearest(raw)).reshape(z.shape[:-1])

    def log_prob(self, indices: jax.Array) -> jax.Array:
        """log p of codes [N, P]: [N] nats."""
        log_p = jax.nn.log_softmax(self.prior(indices))
        return jnp.take_along_axis(log_p, indices[..., None], axis=-1).sum((-2, -1))

    def sample_prior(self, keys: jax.Array, temperature: jax.Array | float = 1.0) -> jax.Array:
        """One draw of p(z) a key: z [B, P D]. The temperature scales the noise on the logits."""
        gumbel = jax.vmap(lambda key: jax.random.gumbel(key, (self.positions, self.codes)))(keys)
        gumbel = gumbel * jnp.asarray(temperature)[..., None]

        def settle(number: jax.Array, indices: jax.Array) -> jax.Array:  # one more code is right
            return jnp.argmax(self.prior(indices) + gumbel, axis=-1)

        indices = jnp.zeros((len(keys), self.positions), jnp.int32)
        indices = jax.lax.fori_loop(0, self.positions, settle, indices)
        return self.embed(indices[..., None])

    def embed(self, indices: jax.Array) -> jax.Array:
        """z [..., P D] of codes [..., P, 1]."""
        codes = jnp.take(self.table(), indices[..., 0], axis=0)
        return codes.reshape(*codes.shape[:-2], -1)

    def joint(
        self,
        q: Codes,
        x: jax.Array,
        keys: jax.Array,
        first: jax.Array | int = 0,
        count: int = 1,
        dropout: jax.Array | None = None,
    ) -> Joint:
        """`count` times the same z, and all terms of the bounds at it."""
        z, log_q = q.sample_and_log_prob(keys, first, count)
        theta = self.decode(z, dropout)
        log_prior = self.log_prob(q.indices)
        return Joint(
            q=q,
            z=z,
            theta=theta,
            log_likelihood=self.log_likelihood(theta, x),
            log_prior=jnp.broadcast_to(log_prior, log_q.shape),
            log_q=log_q,
            kl=-log_prior[:, None],
        )


class averages(nn.Module):  # noqa: N801  (the same)
    """K codes of D numbers, each the average of what was quantised to it.

    Kept as running means of how many vectors a code has in a batch, `counts` [K], and of their sum,
    `sums` [K, D] (van den Oord et al. 2017, appendix A.1), which the objective `vq` moves.
    """

    codes: int
    size: int

    def setup(self) -> None:
        """Declares sums at normal draws and counts of 1, so that these draws are the codes."""
        init = nn.initializers.normal(1.0)
        self.sums = self.param("sums", init, (self.codes, self.size))
        self.counts = self.param("counts", nn.initializers.ones, (self.codes,))

    def __call__(self) -> jax.Array:
        """The codes [K, D]."""
        return self.sums / self.counts[:, None]
