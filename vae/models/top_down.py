"""The top-down residual hierarchy: many layers of latents, from coarse maps to fine ones."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike

from vae.models.hierarchy import Above, Downward, LayeredPosterior, Pick
from vae.networks import top_down_parts as bodies
from vae.networks.layers import ConvTranspose, activation, map_sizes, widened
from vae.probability.distributions import Diagonal


class top_down(Downward, kw_only=True):  # noqa: N801  (the name is the config value)
    """The very deep VAE (Child 2021) at any size and resolution.

    A state, a feature map, is carried from the coarsest level to the finest. Each group of latents
    reads its prior off the state, its posterior off the state and the bottom-up map of that level,
    and adds what it drew. Differences from the paper: one 3x3 convolution a block, not two; levels
    by strided convolutions; no latents at full resolution, which a transposed convolution reaches
    from half of it.
    """

    shape: tuple[int, ...]  # of an example: (H, W, C)
    channels: int  # outputs a pixel
    latent_channels: int  # latents of a group at each position
    filters: tuple[int, ...] = (32, 64)  # channels of each level, the finest first
    groups: tuple[int, ...] = (1, 1)  # groups of latents of each level
    blocks: int = 1  # bottom-up residual blocks a level
    activation: str = "silu"
    dtype: DTypeLike = jnp.float32
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    kl_estimate = "analytic given the layers above"

    @staticmethod
    def map_sizes(shape: tuple[int, ...], levels: int) -> list[tuple[int, int]]:
        """Height and width of each level's map."""
        return map_sizes(shape, levels)[1:]

    @property
    def level_of(self) -> list[int]:
        """Each layer's level."""
        return [level for level, count in enumerate(self.groups) for _ in range(count)]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Latents of each group, those of the finest level first."""
        maps = self.map_sizes(self.shape, len(self.filters))
        return tuple(maps[n][0] * maps[n][1] * self.latent_channels for n in self.level_of)

    def setup(self) -> None:
        """Declares the bottom-up network, the groups, the upsampling and the last layer."""
        super().setup()
        maps, dtype = self.map_sizes(self.shape, len(self.filters)), self.dtype
        self.encoder = bodies.BottomUp(self.filters, self.blocks, self.activation, dtype)
        self.decoder = [
            bodies.Group(
                self.filters[n], self.latent_channels, self.layers, self.activation, dtype
            )
            for n in self.level_of
        ]
        self.start = self.param("start", nn.initializers.zeros, (*maps[-1], self.filters[-1]))
        self.upward = [
            bodies.Upsample(maps[n], self.filters[n], dtype) for n in range(len(maps) - 1)
        ]
        height, width = self.shape[:2]
        self.last = ConvTranspose(
            self.channels, (height, width), dtype=dtype, bias_init=self.bias_init
        )

    def walk(self, pick: Pick, examples: int) -> jax.Array:
        """The end of the walk is the finest map [N, H / 2, W / 2, filters[0]]."""
        state = jnp.broadcast_to(self.start, (examples, *self.start.shape)).astype(self.dtype)
        number = self.layers
        for level in reversed(range(len(self.filters))):
            if level < len(self.filters) - 1:
                state = self.upward[level](state)
            for _ in range(self.groups[level]):
                number -= 1
                group = self.decoder[number]
                p, after = group.prior(state)
                state = group.join(after, pick(number, p, state))
        return state

    def emit(self, state: jax.Array, leading: tuple[int, ...], keys: Any) -> jax.Array:
        """theta [*leading, H, W, channels] from the finest map [N, H / 2, W / 2, filters[0]]."""
        theta = widened(self.last(activation(self.activation)(state)))
        return self.with_scalars(theta.reshape(*leading, *theta.shape[1:]))

    def encode(self, x: jax.Array, keys: jax.Array | None = None) -> LayeredPosterior:
        """q(z|x) for x [B, H, W, C]; its evidence is a feature map a level."""
        return LayeredPosterior(self, self.encoder(self.encoder_input(x, keys)))

    def above(self, evidence: list[jax.Array], draws: int) -> Above:
        """By the bottom-up map of each group's level."""
        maps = [jnp.tile(a, (draws, 1, 1, 1)) for a in evidence]

        def posterior(number: int, p: Diagonal, state: Any) -> Diagonal:
            return self.decoder[number].posterior(state, maps[self.level_of[number]])

        return posterior
