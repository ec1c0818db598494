"""What a top-down hierarchy of feature maps is made of (Child 2021, figure 3)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from vae.networks.layers import Conv, activation, check_image, dense_init, gain, widened
from vae.probability.distributions import Diagonal


class Block(nn.Module):
    """1x1 to `middle` channels, 3x3, 1x1 to `outputs`, each after the activation.

    Where a side is a single pixel, 3x3 becomes 1x1. `scale` is that of the last initial weights.
    """

    outputs: int
    middle: int
    activation: str
    dtype: DTypeLike
    scale: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x [B, H, W, C] -> [B, H, W, outputs]."""
        act, init = activation(self.activation), dense_init(self.activation)
        x = nn.Dense(self.middle, dtype=self.dtype, kernel_init=init)(act(x))
        size = 1 if 1 in x.shape[1:3] else 3
        x = Conv(self.middle, size, 1, gain(self.activation), self.dtype)(act(x))
        if self.scale == 0.0:
            last = nn.initializers.zeros
        else:
            last = nn.initializers.variance_scaling(self.scale**2, "fan_in", "normal")
        return nn.Dense(self.outputs, dtype=self.dtype, kernel_init=last)(act(x))


class BottomUp(nn.Module):
    """x [B, H, W, C] -> a feature map a level, the finest first; a level halves and rounds up."""

    filters: tuple[int, ...]
    blocks: int  # residual blocks a level
    activation: str
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array) -> list[jax.Array]:
        """One map [B, h, w, F] for each of `filters`."""
        check_image("top_down", x.shape[1:])
        maps = []
        for width in self.filters:
            x = Conv(width, gain=gain(self.activation), dtype=self.dtype)(x)
            for _ in range(self.blocks):
                x = x + Block(width, -(-width // 2), self.activation, self.dtype)(x)
            maps.append(x)
        return maps


class Group(nn.Module):
    """One layer of latents: `latents` of them at each position of a map of `width` channels."""

    width: int
    latents: int
    depth: int  # groups of the whole model: the deeper it is, the less each adds at the start
    activation: str
    dtype: DTypeLike

    def setup(self) -> None:
        """Declares the networks of prior and posterior, and those that add z to the state."""
        middle, share = -(-self.width // 2), self.depth**-0.5

        def block(outputs: int, scale: float = 1.0) -> Block:
            return Block(outputs, middle, self.activation, self.dtype, scale)

        self.before = block(2 * self.latents + self.width, 0.0)
        self.after = block(2 * self.latents)
        init = nn.initializers.variance_scaling(share**2, "fan_in", "normal")
        self.project = nn.Dense(self.width, dtype=self.dtype, kernel_init=init)
        self.residual = block(self.width, share)

    def prior(self, state: jax.Array) -> tuple[Diagonal, jax.Array]:
        """p(z|above) [N, H * W * latents], and the state [N, H, W, width] with what it adds."""
        outputs = self.before(state)
        return self._gaussian(outputs), state + outputs[..., 2 * self.latents :]

    def posterior(self, state: jax.Array, features: jax.Array) -> Diagonal:
        """q(z|above, x) from the state before `prior` and the bottom-up map."""
        return self._gaussian(self.after(jnp.concatenate([state, features], axis=-1)))

    def join(self, state: jax.Array, z: jax.Array) -> jax.Array:
        """The state after the group, for z [N, H * W * latents]."""
        state = state + self.project(z.reshape(*state.shape[:-1], self.latents))
        return state + self.residual(state)

    def _gaussian(self, outputs: jax.Array) -> Diagonal:
        outputs = widened(outputs[..., : 2 * self.latents]).reshape(len(outputs), -1, 2)
        return Diagonal(outputs[..., 0], outputs[..., 1])


class Upsample(nn.Module):
    """Repeats every pixel along each side, cuts to `shape`, maps to `width` channels, adds a
    learned map."""

    shape: tuple[int, int]
    width: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, state: jax.Array) -> jax.Array:
        """state [N, h, w, C] -> [N, *shape, width]."""
        height, width = self.shape
        state = state.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
        if state.shape[-1] != self.width:
            state = nn.Dense(self.width, dtype=self.dtype)(state)
        bias = self.param("bias", nn.initializers.zeros, (*self.shape, self.width), jnp.float32)
        return state + bias.astype(self.dtype)
