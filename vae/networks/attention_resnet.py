"""Residual networks with group normalisation and attention: the two halves of an autoencoder of
images with latents in space (Esser et al. 2021, appendix; Rombach et al. 2022, appendix)."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from vae.networks.layers import (
    Conv,
    ConvTranspose,
    Network,
    activation,
    check_image,
    dropout,
    gain,
    map_sizes,
    widened,
)

GROUPS, LEAST = 32, 4  # of channels that are normalised together: at most so many, of at least


class Norm(nn.Module):
    """Each example's groups of channels to mean 0 and variance 1, then a scale and a shift a
    channel (Wu & He 2018); in float32.

    A group has four channels or more where there are as many: one of a single channel would lose
    its mean, and with it the bias of the layer before.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x [B, H, W, C], the same shape and type."""
        channels = x.shape[-1]
        groups = math.gcd(GROUPS, max(1, channels // LEAST))
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        wide = widened(x)
        # Sums over pixels before those within a group: whole rows, which is fast on CPUs.
        count = x.shape[1] * x.shape[2] * (channels // groups)

        def of_groups(sums: jax.Array) -> jax.Array:  # [B, C] -> [B, 1, 1, C]
            means = sums.reshape(len(x), groups, -1).sum(-1, keepdims=True) / count
            spread = jnp.broadcast_to(means, (len(x), groups, channels // groups))
            return spread.reshape(len(x), 1, 1, channels)

        mean = of_groups(wide.sum((1, 2)))
        variance = of_groups(jnp.square(wide - mean).sum((1, 2)))
        factor = jax.lax.rsqrt(variance + 1e-6) * scale
        return ((wide - mean) * factor + bias).astype(x.dtype)


class Block(nn.Module):
    """x + conv3x3(act(norm(conv3x3(act(norm(x)))))), which starts as the identity."""

    activation: str
    dropout: float
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array, keys: jax.Array | None, layer: int) -> jax.Array:
        """x [B, H, W, C] -> the same shape; `layer` numbers its dropout's noise."""
        act, width = activation(self.activation), x.shape[-1]
        first = Conv(width, size=3, stride=1, gain=gain(self.activation), dtype=self.dtype)
        inner = first(act(Norm()(x)))
        inner = dropout(act(Norm()(inner)), keys, self.dropout, layer)
        return x + Conv(width, size=3, stride=1, gain=0.0, dtype=self.dtype)(inner)


class Attention(nn.Module):
    """x + attention over all positions, of one head; it starts as the identity."""

    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x [B, H, W, C] -> the same shape."""
        batch, height, width, channels = x.shape
        inner = Norm()(x).reshape(batch, height * width, channels)
        q, k, v = jnp.split(nn.Dense(3 * channels, dtype=self.dtype)(inner), 3, axis=-1)
        scores = jnp.einsum("bpc,bqc->bpq", q, k) / math.sqrt(channels)
        weights = jax.nn.softmax(widened(scores)).astype(v.dtype)
        mixed = jnp.einsum("bpq,bqc->bpc", weights, v)
        last = nn.Dense(channels, dtype=self.dtype, kernel_init=nn.initializers.zeros)
        return x + last(mixed).reshape(x.shape)


class attention_resnet_encoder(Network):  # noqa: N801  (the name is the config value)
    """For each entry of `filters` a convolution 4x4 of stride 2 and `blocks` residual blocks with
    group normalisation; attention over the coarsest map.

    Sizes are halved and rounded up, so any height and width will do.
    """

    spatial = True
    filters: tuple[int, ...] = (32, 64)
    blocks: int = 1
    activation: str = "silu"
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, keys: jax.Array | None = None, context: jax.Array | None = None
    ) -> jax.Array:
        """Features [B, F] of x [B, H, W, channels], F = height * width * filters[-1]; a context
        [B, C] is added to the first level."""
        check_image("attention_resnet", x.shape[1:])
        layer = 0  # counts the places where values are dropped
        for level, width in enumerate(self.filters):
            x = Conv(width, dtype=self.dtype)(x)
            if level == 0 and context is not None:
                added = nn.Dense(width, use_bias=False, dtype=self.dtype, name="context")(context)
                x = x + added[:, None, None]
            for _ in range(self.blocks):
                x = Block(self.activation, self.dropout, self.dtype)(x, keys, layer)
                layer += 1
        x = Attention(self.dtype)(x)
        x = activation(self.activation)(Norm()(x))
        return x.reshape(len(x), -1)


class attention_resnet_decoder(Network):  # noqa: N801
    """A layer onto the coarsest map, attention, and for each entry of `filters`, from last to
    first, `blocks` residual blocks and a transposed convolution 4x4 of stride 2; a convolution 3x3
    of all pixels is the last.

    Sizes are those of the encoder: where one is odd, the doubled map is cropped.
    """

    spatial = True
    shape: tuple[int, ...]  # one example's: (H, W, C)
    channels: int  # outputs a pixel
    filters: tuple[int, ...] = (32, 64)
    blocks: int = 1
    activation: str = "silu"
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    bias_init: nn.initializers.Initializer = nn.initializers.zeros
    maps: bool = False  # z is a map of the coarsest grid, [B, height * width * D]

    @nn.compact
    def __call__(self, z: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """theta [B, H, W, channels] for z [B, L], or for a map of it where `maps`."""
        check_image("attention_resnet", self.shape)
        sizes = map_sizes(self.shape, len(self.filters))
        (height, width), deepest = sizes[-1], self.filters[-1]
        if self.maps:
            x = nn.Dense(deepest, dtype=self.dtype)(z.reshape(len(z), height, width, -1))
        else:
            x = nn.Dense(height * width * deepest, dtype=self.dtype)(z)
            x = x.reshape(len(z), height, width, deepest)
        x = Attention(self.dtype)(x)
        layer = 0
        for level in reversed(range(len(self.filters))):
            for _ in range(self.blocks):
                x = Block(self.activation, self.dropout, self.dtype)(x, keys, layer)
                layer += 1
            width = self.filters[max(level - 1, 0)]
            x = ConvTranspose(width, shape=sizes[level], dtype=self.dtype)(x)
        x = activation(self.activation)(Norm()(x))
        last = Conv(
            self.channels, size=3, stride=1, dtype=self.dtype, bias_init=self.bias_init
        )
        return widened(last(x))
