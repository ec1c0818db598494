"""Decoders: z [B, L] float32 -> the likelihood's parameters [B, H, W, channels] float32.

Each mirrors the encoder of the same name and options. Vectors of shape (D,) give [B, D, channels].
`bias_init(key, shape, dtype)` makes the last layer's bias: one number an output where the layer is
dense (shape [H, W, channels]), one a channel where it is a convolution (shape [channels]).
`keys` [B] carry dropout's noise, one key an example; None turns dropout off.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from vae.networks.attention_resnet import attention_resnet_decoder
from vae.networks.layers import (
    ConvTranspose,
    Network,
    Residual,
    activation,
    check_image,
    dense_init,
    dropout,
    gain,
    gated,
    map_sizes,
    widened,
)
from vae.networks.recurrent import gru_decoder

__all__ = ["attention_resnet", "conv", "gated_mlp", "gru", "mlp", "resnet"]

attention_resnet = attention_resnet_decoder
gru = gru_decoder


class mlp(Network):  # noqa: N801  (the name is the config value)
    """Dense layers of widths `hidden`, from last to first, then one onto every output."""

    is_gated = False
    shape: tuple[int, ...]  # one example's: (H, W, C) or (D,)
    channels: int  # outputs a pixel
    hidden: tuple[int, ...] = (200, 200)
    activation: str = "tanh"
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, z: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """theta [B, H, W, channels], or [B, D, channels] of vectors, for z [B, L]."""
        act, init = activation(self.activation), dense_init(self.activation)
        for layer, width in enumerate(reversed(self.hidden)):
            z = nn.Dense((1 + self.is_gated) * width, dtype=self.dtype, kernel_init=init)(z)
            z = dropout(gated(z) if self.is_gated else act(z), keys, self.dropout, layer)
        pixels = self.shape[:2] if len(self.shape) == 3 else self.shape
        outputs = (*pixels, self.channels)

        def bias_init(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
            return self.bias_init(key, outputs, dtype).reshape(shape)

        last = nn.Dense(
            math.prod(outputs),
            dtype=self.dtype,
            kernel_init=nn.initializers.glorot_uniform(),
            bias_init=bias_init,
        )
        return widened(last(z)).reshape(-1, *outputs)


class gated_mlp(mlp):  # noqa: N801
    """As `mlp`, but every layer is (a @ z + a0) * sigmoid(b @ z + b0) (Dauphin et al. 2017)."""

    is_gated = True


class conv(Network):  # noqa: N801
    """A dense layer, a second one onto the coarsest grid, and transposed convolutions 4x4 of stride
    2.

    Sizes are those of the encoder: where one is odd, the doubled grid is cropped.
    """

    spatial = True
    blocks = 0  # residual blocks a level
    shape: tuple[int, ...]  # one example's: (H, W, C)
    channels: int  # outputs a pixel
    filters: tuple[int, ...] = (32, 64)
    dense: int = 256
    activation: str = "relu"
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32
    bias_init: nn.initializers.Initializer = nn.initializers.zeros
    maps: bool = False  # z is a map of the coarsest grid, [B, height * width * D]

    @nn.compact
    def __call__(self, z: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """theta [B, H, W, channels] for z [B, L], or for a map of it where `maps`."""
        check_image(type(self).__name__, self.shape)
        layer = 0  # counts the places where values are dropped
        act, init = activation(self.activation), dense_init(self.activation)
        if self.dense:
            z = act(nn.Dense(self.dense, dtype=self.dtype, kernel_init=init)(z))
            z = dropout(z, keys, self.dropout, layer)
            layer += 1
        sizes = self.sizes()
        grid = (*sizes[-1], self.filters[-1])
        if self.maps:
            z = z.reshape(len(z), *grid[:2], -1)
            x = nn.Dense(grid[-1], dtype=self.dtype, kernel_init=init)(z)
        else:
            x = nn.Dense(math.prod(grid), dtype=self.dtype, kernel_init=init)(z).reshape(-1, *grid)
        for level in reversed(range(len(self.filters))):
            for _ in range(self.blocks):
                x = Residual(self.activation, self.dropout, self.dtype)(x, keys, layer)
                layer += 1
            x = dropout(act(x), keys, self.dropout, layer)
            layer += 1
            double = ConvTranspose(
                features=self.filters[level - 1] if level else self.channels,
                shape=sizes[level],
                gain=gain(self.activation) if level else 1.0,
                dtype=self.dtype,
                bias_init=nn.initializers.zeros if level else self.bias_init,
            )
            x = double(x)
        return widened(x)

    def sizes(self) -> list[tuple[int, int]]:
        """Height and width before each level and after the last; halves are rounded up."""
        return map_sizes(self.shape, len(self.filters))


class resnet(conv):  # noqa: N801
    """As `conv`, with `blocks` residual blocks before each doubling."""

    blocks: int = 1
