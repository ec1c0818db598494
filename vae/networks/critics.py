"""Critics: networks on the latents that an objective trains beside the model."""

import flax.linen as nn
import jax

__all__ = ["mlp"]


class mlp(nn.Module):  # noqa: N801  (as the encoders and decoders of that name)
    """Dense layers of widths `hidden` with leaky rectifiers: z [..., L] -> logits [...].

    Six layers of 1000 are the discriminator of Kim & Mnih 2018, appendix B (one logit for its two).
    """

    hidden: tuple[int, ...] = (1000,) * 6

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        """Logits [...] of z [..., L]."""
        for width in self.hidden:
            z = nn.leaky_relu(nn.Dense(width)(z), 0.2)
        return nn.Dense(1)(z)[..., 0]
