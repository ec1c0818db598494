"""Critics: networks that an objective trains beside the model, on latents or on images."""

import flax.linen as nn
import jax

from vae.networks.layers import Conv

__all__ = ["mlp", "patches"]


class mlp(nn.Module):  # noqa: N801  (as the encoders and decoders of that name)
    """Dense layers of widths `hidden` with leaky rectifiers: z [..., L] -> logits [...].

    Six layers of 1000 are the discriminator of Kim & Mnih 2018, appendix B (one logit for its two).
    """

    of_images = False
    hidden: tuple[int, ...] = (1000,) * 6

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        """Logits [...] of z [..., L]."""
        for width in self.hidden:
            z = nn.leaky_relu(nn.Dense(width)(z), 0.2)
        return nn.Dense(1)(z)[..., 0]


class patches(nn.Module):  # noqa: N801
    """A logit for each of the overlapping patches of an image (Isola et al. 2017): convolutions 4x4
    of stride 2 with `filters` channels and leaky rectifiers, then one of 3x3; of vectors, dense
    layers of these widths."""

    of_images = True
    filters: tuple[int, ...] = (64, 128)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Logits [B, h, w] of images [B, H, W, C]; [B] of vectors [B, D, 1]."""
        if x.ndim < 4:
            x = x.reshape(len(x), -1)
            for width in self.filters:
                x = nn.leaky_relu(nn.Dense(width)(x), 0.2)
            return nn.Dense(1)(x)[..., 0]
        for width in self.filters:
            x = nn.leaky_relu(Conv(width, gain=2.0)(x), 0.2)
        return Conv(1, size=3, stride=1)(x)[..., 0]
