"""Velocities v(x, t, label) of flow matching: pure Flax Linen modules, which start as 0."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae.networks.layers import Conv, ConvTranspose

FREQUENCIES = 16  # of the time's sines and cosines
SLOWEST, FASTEST = 0.25, 16.0  # turns between t = 0 and 1
GIVEN = 128  # numbers that time and label become
GROUPS = 8  # of channels that are normalised together


def times(t: jax.Array) -> jax.Array:
    """Sines and cosines of t [B], from a quarter turn on: [B, 2 FREQUENCIES]."""
    turns = jnp.geomspace(SLOWEST, FASTEST, FREQUENCIES, dtype=t.dtype)
    angles = 2.0 * jnp.pi * t[:, None] * turns
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


class _Given(nn.Module):
    """Time and label as numbers [B, GIVEN], which every block adds to its own."""

    classes: int

    @nn.compact
    def __call__(self, t: jax.Array, label: jax.Array) -> jax.Array:
        """t [B], label [B] from 0 to `classes`, which is for no class."""
        values = nn.Dense(GIVEN)(times(t))
        if self.classes:
            values = values + nn.Embed(self.classes + 1, GIVEN)(label)
        return jax.nn.silu(nn.Dense(GIVEN)(jax.nn.silu(values)))


class mlp(nn.Module):  # noqa: N801  (as the encoders are called)
    """Residual blocks of two dense layers, after layer normalisation (as Gorishniy et al. 2021's
    ResNet for tables, with the time added in each block), of latents without neighbours."""

    width: int = 384
    blocks: int = 3
    classes: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, t: jax.Array, label: jax.Array) -> jax.Array:
        """x [B, L], t [B], label [B] -> [B, L]."""
        given = _Given(self.classes)(t, label)
        h = nn.Dense(self.width)(x)
        for _ in range(self.blocks):
            inner = nn.Dense(self.width)(jax.nn.silu(nn.LayerNorm()(h)))
            inner = inner + nn.Dense(self.width)(given)
            h = h + nn.Dense(self.width)(jax.nn.silu(inner))
        h = jax.nn.silu(nn.LayerNorm()(h))
        return nn.Dense(x.shape[-1], kernel_init=nn.initializers.zeros)(h)


class unet(nn.Module):  # noqa: N801
    """A U-Net (Ronneberger et al. 2015) of maps [H, W, C], which are seen as vectors outside:
    residual blocks at full and half resolution."""

    shape: tuple[int, int, int]  # H, W, C
    width: int = 32  # channels at full resolution; twice as many at half
    blocks: int = 1  # before and after each change of resolution
    classes: int = 0

    @nn.compact
    def __call__(self, x: jax.Array, t: jax.Array, label: jax.Array) -> jax.Array:
        """x [B, H W C], t [B], label [B] -> [B, H W C]."""
        given = _Given(self.classes)(t, label)
        height, width, channels = self.shape
        h = Conv(self.width, size=3, stride=1)(x.reshape(-1, *self.shape))
        for _ in range(self.blocks):
            h = _Block()(h, given)
        across = h
        h = Conv(2 * self.width)(h)
        for _ in range(2 * self.blocks):
            h = _Block()(h, given)
        h = ConvTranspose(self.width, (height, width))(h)
        h = Conv(self.width, size=3, stride=1)(jnp.concatenate([h, across], axis=-1))
        for _ in range(self.blocks):
            h = _Block()(h, given)
        h = jax.nn.silu(_normalised()(h))
        return Conv(channels, size=3, stride=1, gain=0.0)(h).reshape(x.shape)


class _Block(nn.Module):
    """x + conv3x3(silu(conv3x3(silu(x)) + given)), x normalised before (Ho et al. 2020)."""

    @nn.compact
    def __call__(self, x: jax.Array, given: jax.Array) -> jax.Array:
        """x [B, H, W, C], given [B, GIVEN] -> [B, H, W, C]."""
        width = x.shape[-1]
        inner = Conv(width, size=3, stride=1)(jax.nn.silu(_normalised()(x)))
        inner = inner + nn.Dense(width)(given)[:, None, None]
        return x + Conv(width, size=3, stride=1)(jax.nn.silu(_normalised()(inner)))


def _normalised() -> nn.GroupNorm:
    return nn.GroupNorm(num_groups=GROUPS)
