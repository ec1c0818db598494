"""Convolutions whose products XLA runs fast on every platform."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

Array = jax.Array


def conv(x: Array, kernel: Array, stride: int) -> Array:
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def conv_transpose(y: Array, kernel: Array, stride: int) -> Array:
    return jax.lax.conv_transpose(
        y, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
        transpose_kernel=True,
    )


class Conv(nn.Module):
    """Convolution of `size` x `size`, zero-padded so that a stride s divides sizes by s, rounded up.

    x [B, H, W, C] -> [B, ceil(H / stride), ceil(W / stride), features].
    """

    features: int
    size: int = 4
    stride: int = 2
    gain: float = 1.0  # variance of a weight times its fan-in
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = nn.initializers.variance_scaling(self.gain, "fan_in", "truncated_normal")
        if self.gain == 0.0:
            init = nn.initializers.zeros
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        x, kernel, bias = (a.astype(self.dtype) for a in (x, kernel, bias))
        return conv(x, kernel, self.stride) + bias


class ConvTranspose(nn.Module):
    """Transposed 4x4 convolution of stride 2, cropped to `shape`."""

    features: int
    shape: tuple[int, int]
    gain: float = 1.0
    dtype: DTypeLike = jnp.float32
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, y: Array) -> Array:
        init = nn.initializers.variance_scaling(
            4.0 * self.gain, "fan_in", "truncated_normal", in_axis=-1, out_axis=-2
        )
        kernel = self.param("kernel", init, (4, 4, self.features, y.shape[-1]), jnp.float32)
        bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
        y, kernel, bias = (a.astype(self.dtype) for a in (y, kernel, bias))
        x = conv_transpose(y, kernel, 2)[:, : self.shape[0], : self.shape[1]]
        return x + bias
