"""Encoders: x [B, *shape] float32 -> features [B, F]; the model adds the head that reads them.

A context [B, C] is added, by a matrix of its own, to what the first layer gives.
`keys` [B] carry dropout's noise, one key an example; None turns dropout off.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from vae.networks.attention_resnet import attention_resnet_encoder
from vae.networks.layers import (
    Conv,
    Network,
    Residual,
    activation,
    check_image,
    dense_init,
    dropout,
    gain,
    gated,
)
from vae.networks.recurrent import gru_encoder

__all__ = ["attention_resnet", "conv", "gated_mlp", "gru", "mlp", "resnet"]

attention_resnet = attention_resnet_encoder
gru = gru_encoder


def with_context(x: jax.Array, context: jax.Array | None, dtype: DTypeLike) -> jax.Array:
    """x [B, ..., width] and, at every position, what a matrix makes of the context [B, C]."""
    if context is None:
        return x
    added = nn.Dense(x.shape[-1], use_bias=False, dtype=dtype, name="context")(context)
    return x + added.reshape(len(x), *[1] * (x.ndim - 2), -1)


class mlp(Network):  # noqa: N801  (the name is the config value)
    """Dense layers of widths `hidden` over the flattened example: any shape."""

    is_gated = False
    hidden: tuple[int, ...] = (200, 200)
    activation: str = "tanh"
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, keys: jax.Array | None = None, context: jax.Array | None = None
    ) -> jax.Array:
        """Features [B, F] of x [B, *shape] and its context [B, C]."""
        act, init = activation(self.activation), dense_init(self.activation)
        x = x.reshape(x.shape[0], -1)
        if not self.hidden and context is not None:
            return jnp.concatenate([x, context], axis=-1)
        for layer, width in enumerate(self.hidden):
            x = nn.Dense((1 + self.is_gated) * width, dtype=self.dtype, kernel_init=init)(x)
            if layer == 0:
                x = with_context(x, context, self.dtype)
            x = dropout(gated(x) if self.is_gated else act(x), keys, self.dropout, layer)
        return x


class gated_mlp(mlp):  # noqa: N801
    """As `mlp`, but every layer is (a @ x + a0) * sigmoid(b @ x + b0) (Dauphin et al. 2017)."""

    is_gated = True


class conv(Network):  # noqa: N801
    """Convolutions 4x4 of stride 2, one for each entry of `filters`, then a dense layer.

    Sizes are halved and rounded up, so any height and width will do. `dense` = 0: no dense layer.
    """

    spatial = True
    blocks = 0  # residual blocks a level
    filters: tuple[int, ...] = (32, 64)
    dense: int = 256
    activation: str = "relu"
    dropout: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, keys: jax.Array | None = None, context: jax.Array | None = None
    ) -> jax.Array:
        """Features [B, F] of x [B, H, W, channels] and its context [B, C]."""
        check_image(type(self).__name__, x.shape[1:])
        act = activation(self.activation)
        layer = 0  # counts the places where values are dropped
        for width in self.filters:
            x = Conv(width, gain=gain(self.activation), dtype=self.dtype)(x)
            if layer == 0:
                x = with_context(x, context, self.dtype)
            for _ in range(self.blocks):
                x = Residual(self.activation, self.dropout, self.dtype)(x, keys, layer)
                layer += 1
            x = dropout(act(x), keys, self.dropout, layer)
            layer += 1
        x = x.reshape(x.shape[0], -1)
        if self.dense:
            init = dense_init(self.activation)
            x = act(nn.Dense(self.dense, dtype=self.dtype, kernel_init=init)(x))
            x = dropout(x, keys, self.dropout, layer)
        return x


class resnet(conv):  # noqa: N801
    """As `conv`, with `blocks` residual blocks after each halving."""

    blocks: int = 1
