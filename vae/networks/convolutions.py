"""Convolutions that are fast on every platform.

On a CPU, XLA's own weight gradient of a convolution is 20 to 80 times slower inside a compiled loop
than outside. So there a convolution is slices and matrix products:

  - A kernel of k x k with stride s over C channels is one of t x t (t = k / s) with stride 1 over
    s * s * C, once each s x s block of pixels has become one (`space_to_depth`).
  - That is one product for each of the t x t taps, between a shifted slice and a matrix.
  - Its two derivatives are products of the same kind, written out below: left to autodiff, they
    would be the transposes of slices, which XLA computes a pixel at a time.

On other platforms `lax` does it. Kernels have the same shape and meaning on both, and results agree
to rounding, so that a checkpoint of one trains on the other.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from vae.traced_for import platform

LAYOUT = ("NHWC", "HWIO", "NHWC")
NARROW = 32  # below this many channels, one product over all taps beats one product a tap


def convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Zero-padded convolution: x [B, H, W, C], kernel [k, k, C, F] -> [B, ceil(H/s), ceil(W/s), F].

    As lax.conv_general_dilated with padding "SAME"; k must be a multiple of the stride s.
    """
    if platform() != "cpu":
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT
        )
    before = (kernel.shape[0] - stride) // 2
    pads = []
    for size in x.shape[1:3]:
        padded = -(-size // stride) * stride + kernel.shape[0] - stride
        pads.append((before, padded - before - size))
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    return correlate(space_to_depth(x, stride), kernel_to_depth(kernel, stride))


def convolve_transpose(
    y: jax.Array, kernel: jax.Array, stride: int, size: tuple[int, int]
) -> jax.Array:
    """The transpose of `convolve` from images of `size`: y [B, ceil(H/s), ceil(W/s), F],
    kernel [k, k, C, F] -> [B, H, W, C]. As lax.conv_transpose(transpose_kernel=True), cropped."""
    height, width = size
    if platform() != "cpu":
        x = lax.conv_transpose(
            y, kernel, (stride, stride), "SAME", dimension_numbers=LAYOUT, transpose_kernel=True
        )
        return x[:, :height, :width]
    before = (kernel.shape[0] - stride) // 2
    x = depth_to_space(spread(y, kernel_to_depth(kernel, stride)), stride)
    return x[:, before : before + height, before : before + width]


def space_to_depth(x: jax.Array, s: int) -> jax.Array:
    """[B, s H, s W, C] -> [B, H, W, s s C]."""
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height // s, s, width // s, s, channels).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(batch, height // s, width // s, s * s * channels)


def depth_to_space(x: jax.Array, s: int) -> jax.Array:
    """[B, H, W, s s C] -> [B, s H, s W, C]."""
    batch, height, width, depth = x.shape
    blocks = x.reshape(batch, height, width, s, s, depth // s**2).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(batch, height * s, width * s, depth // s**2)


def kernel_to_depth(kernel: jax.Array, s: int) -> jax.Array:
    """The kernel [k, k, C, F] over blocks of s x s pixels: [k/s, k/s, s s C, F]."""
    size, _, channels, features = kernel.shape
    blocks = kernel.reshape(size // s, s, size // s, s, channels, features)
    return blocks.transpose(0, 2, 1, 3, 4, 5).reshape(size // s, size // s, -1, features)


@jax.custom_vjp
def correlate(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """y[b, h, w] = sum over i, j of x[b, h + i, w + j] kernel[i, j].

    x [B, H, W, D], kernel [t, t, D, F] -> y [B, H-t+1, W-t+1, F].
    """
    t, _, depth, features = kernel.shape
    if depth > 2 * features:  # shift the outputs, which are narrower
        height, width = x.shape[1] - t + 1, x.shape[2] - t + 1
        full = spread(x, _mirrored(kernel))
        return full[:, t - 1 : t - 1 + height, t - 1 : t - 1 + width]
    taps = _taps(x, t)
    if depth < NARROW:
        y = _product(jnp.concatenate(taps, -1), kernel.reshape(-1, features))
    else:
        matrices = kernel.reshape(t * t, depth, features)
        products = (_product(tap, matrix) for tap, matrix in zip(taps, matrices, strict=True))
        y = jnp.asarray(sum(products))
    return y.astype(x.dtype)


@jax.custom_vjp
def spread(y: jax.Array, kernel: jax.Array) -> jax.Array:
    """The transpose of `correlate` in x: y [B, H, W, F], kernel [t, t, D, F] ->
    x [B, H+t-1, W+t-1, D]."""
    t, _, depth, features = kernel.shape
    product = _product(y, kernel.reshape(-1, features).T)  # [B, H, W, t t D]
    parts = jnp.split(product, t * t, axis=-1)
    padded = (
        jnp.pad(part, ((0, 0), (i, t - 1 - i), (j, t - 1 - j), (0, 0)))
        for part, (i, j) in zip(parts, np.ndindex(t, t), strict=True)
    )
    return jnp.asarray(sum(padded)).astype(y.dtype)


def kernel_gradient(x: jax.Array, y: jax.Array, t: int) -> jax.Array:
    """The gradient of sum(correlate(x, kernel) * y) in the kernel: [t, t, D, F]."""
    depth, features = x.shape[-1], y.shape[-1]
    if depth > 2 * features:  # shift y, which is narrower
        y = jnp.pad(y, ((0, 0), (t - 1, t - 1), (t - 1, t - 1), (0, 0)))
        return _mirrored(kernel_gradient(y, x, t))
    taps = _taps(x, t)
    if depth < NARROW:
        gradient = _outer(jnp.concatenate(taps, -1), y)
    else:
        gradient = jnp.stack([_outer(tap, y) for tap in taps])
    return gradient.reshape(t, t, depth, features).astype(x.dtype)


correlate.defvjp(
    lambda x, kernel: (correlate(x, kernel), (x, kernel)),
    lambda saved, dy: (
        spread(dy, saved[1]),
        kernel_gradient(saved[0], dy, saved[1].shape[0]),
    ),
)
spread.defvjp(
    lambda y, kernel: (spread(y, kernel), (y, kernel)),
    lambda saved, dx: (
        correlate(dx, saved[1]),
        kernel_gradient(dx, saved[0], saved[1].shape[0]),
    ),
)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    """a [..., K] times b [K, N], summed in float32: [..., N]."""
    flat = jnp.matmul(a.reshape(-1, a.shape[-1]), b, preferred_element_type=jnp.float32)
    return flat.reshape(*a.shape[:-1], b.shape[-1])


def _outer(a: jax.Array, b: jax.Array) -> jax.Array:
    """Sum over positions of a [..., M] times b [..., N], in float32: [M, N].

    The narrower side is the one that the product transposes: the other way is half as fast.
    """
    if a.shape[-1] > b.shape[-1]:
        return _outer(b, a).T
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    return jnp.matmul(a.T, b, preferred_element_type=jnp.float32)


def _taps(x: jax.Array, t: int) -> list[jax.Array]:
    """The t * t shifted slices [B, H-t+1, W-t+1, D] of x, rows first."""
    height, width = x.shape[1] - t + 1, x.shape[2] - t + 1
    return [x[:, i : i + height, j : j + width] for i in range(t) for j in range(t)]


def _mirrored(kernel: jax.Array) -> jax.Array:
    """The kernel of the opposite direction: [t, t, D, F] -> [t, t, F, D], taps reversed."""
    return kernel[::-1, ::-1].swapaxes(2, 3)
