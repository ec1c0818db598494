"""Likelihoods of grey levels as bins of a logistic distribution, alone or in a mixture.

The levels 0..levels-1 are seen as x = level / (levels - 1) in [0, 1]. A bin reaches half a level to
either side; the lowest and the highest take all the mass beyond them, so the bins sum to 1.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from vae.probability.elementwise import bounded, flat, softplus, unbounded
from vae.protocols import Likelihood


def log_bin(level: jax.Array, loc: jax.Array, log_scale: jax.Array, top: int) -> jax.Array:
    """log probability of a level in 0..top under a logistic over [0, 1], element by element.

    With a and b the bin's edges in scales from the centre, sigmoid(b) - sigmoid(a) is
    sigmoid(b) sigmoid(-a) (1 - exp(a - b)), a product: nothing cancels, however far the bin is.
    Edges are counted in levels, where neighbours share them to the last bit.
    """
    width = jnp.exp(-log_scale) / top  # of a bin, in scales: b - a
    centre = loc * top
    below = -softplus((level - 0.5 - centre) * width)  # log sigmoid(-a)
    above = -softplus((centre - level - 0.5) * width)  # log sigmoid(b)
    lowest, highest = level == 0, level == top
    inside = jnp.where(lowest | highest, 0.0, jnp.log(-jnp.expm1(-width)))
    return jnp.where(lowest, 0.0, below) + jnp.where(highest, 0.0, above) + inside


def bin_mean(loc: jax.Array, log_scale: jax.Array, top: int) -> jax.Array:
    """Mean of x over the bins: the sum of the probabilities to lie above each edge, over top.

    One edge after the other: all at once would take 255 times the memory of the pixels.
    """
    width, centre = jnp.exp(-log_scale) / top, loc * top

    def add(edge: jax.Array, total: jax.Array) -> jax.Array:
        return total + jax.nn.sigmoid((centre - edge - 0.5) * width)

    return jax.lax.fori_loop(0, top, add, jnp.zeros_like(width)) / top


def draw_level(noise: jax.Array, loc: jax.Array, log_scale: jax.Array, top: int) -> jax.Array:
    """x of the bin in which loc + scale * noise lies, for standard logistic noise."""
    return jnp.clip(jnp.round((loc + jnp.exp(log_scale) * noise) * top), 0.0, top) / top


def _start(mean: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Centre and raw log scale of a first guess, about a tenth of the range wide.

    The centre gives the data mean, clipped to [.001, .999], up to the mass cut off beyond 0 and 1:
    the solution of s (softplus(c / s) - softplus((c - 1) / s)) = mean.
    """
    mean = np.clip(np.asarray(mean, np.float64), 0.001, 0.999)
    scale = max(0.1, 1.0 / (levels - 1))
    centre = scale * (np.log(np.expm1(mean / scale)) - np.log1p(-np.exp((mean - 1.0) / scale)))
    return centre, np.full_like(mean, unbounded(np.log(scale)))


@dataclasses.dataclass(frozen=True)
class discretized_logistic(Likelihood):  # noqa: N801  (the name is the config value)
    """Independent grey levels, each a bin of its own logistic (Kingma et al. 2016, section 5.2).

    theta [..., H, W, 2 C]: centres, in the units of x, then log scales, `bounded`. An x between two
    levels counts as the nearer.
    """

    kinds = ("grey",)
    discrete = True
    levels: int = 256

    @property
    def top(self) -> int:
        """The highest grey level."""
        return self.levels - 1

    def channels(self, data_channels: int) -> int:
        """A centre and a log scale for each data channel."""
        return 2 * data_channels

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """Outputs [H, W, 2 C] whose mean is about the data's [H, W, C]."""
        return np.concatenate(_start(mean, self.levels), axis=-1)

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z) of the levels nearest to x: [..., B] nats."""
        loc, log_scale = (flat(part, x) for part in self._split(theta))
        return log_bin(jnp.round(flat(x, x) * self.top), loc, log_scale, self.top).sum(-1)

    def log_table(self, theta: jax.Array, x: jax.Array, channel: int) -> jax.Array:
        """log p of each level: [..., H, W, levels]."""
        loc, log_scale = (part[..., channel, None] for part in self._split(theta))
        return log_bin(jnp.arange(self.levels), loc, log_scale, self.top)

    def mean(self, theta: jax.Array) -> jax.Array:
        """The expected grey value in [0, 1]: [..., H, W, C]."""
        return bin_mean(*self._split(theta), self.top)

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """Grey values in [0, 1]: [..., H, W, C]."""
        loc, log_scale = self._split(theta)
        return draw_level(jax.random.logistic(key, loc.shape), loc, log_scale, self.top)

    def _split(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        loc, log_scale = jnp.split(theta, 2, axis=-1)
        return loc, bounded(log_scale)


@dataclasses.dataclass(frozen=True)
class discretized_logistic_mixture(Likelihood):  # noqa: N801
    """Pixels of `mixtures` discretised logistics (PixelCNN++, Salimans et al. 2017, section 2).

    The C channels of a pixel share the component. In it the centre of a channel moves with the
    channels before it, by coefficients in (-1, 1) times their x - 1/2 (eq. 3 there): red, green
    given red, blue given both. theta [..., H, W, K (1 + 2 C + C (C - 1) / 2)]: K logits, C K
    centres, C K log scales (`bounded`), and the coefficients before tanh, those of green first.
    """

    kinds = ("grey",)
    discrete = True
    levels: int = 256
    mixtures: int = 5

    @property
    def top(self) -> int:
        """The highest grey level."""
        return self.levels - 1

    def channels(self, data_channels: int) -> int:
        """K (1 + 2 C + C (C - 1) / 2), for C data channels."""
        pairs = data_channels * (data_channels - 1) // 2
        return self.mixtures * (1 + 2 * data_channels + pairs)

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """Components alike, at the data mean, without coupling: the last weights part them."""
        *pixels, data_channels = mean.shape
        parts = [np.repeat(part, self.mixtures, axis=-1) for part in _start(mean, self.levels)]
        pairs = data_channels * (data_channels - 1) // 2
        logits, coupling = (np.zeros((*pixels, self.mixtures * n)) for n in (1, pairs))
        return np.concatenate([logits, *parts, coupling], axis=-1)

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x|z) of the levels nearest to x: [..., B] nats."""
        total, _ = self._of_channels(theta, x, x.shape[-1])
        log_pixel = jax.nn.logsumexp(total, axis=-1)  # [..., H, W]
        return flat(log_pixel, x[..., 0]).sum(-1)

    def log_table(self, theta: jax.Array, x: jax.Array, channel: int) -> jax.Array:
        """log p of each level, with the components weighted by the channels before: [..., H, W,
        levels]. One component after the other, as the levels of all would take K times the memory.
        """
        before, centre = self._of_channels(theta, x, channel)
        weights = jax.nn.log_softmax(before)
        log_scale = self._split(theta)[2][..., channel, :]
        found = jnp.full((*centre.shape[:-1], self.levels), -jnp.inf)
        for k in range(self.mixtures):
            each = log_bin(
                jnp.arange(self.levels), centre[..., k, None], log_scale[..., k, None], self.top
            )
            found = jnp.logaddexp(found, weights[..., k, None] + each)
        return found

    def _of_channels(
        self, theta: jax.Array, x: jax.Array, count: int
    ) -> tuple[jax.Array, jax.Array]:
        """log of each component's weight and of its `count` first channels' levels at x, and its
        centre of the channel after them (the last, where none is): [..., H, W, K] each."""
        logits, loc, log_scale, coupling = self._split(theta)
        seen = jnp.round(x * self.top)[..., None]  # [B, H, W, C, 1]
        total = jax.nn.log_softmax(logits)
        before: list[jax.Array] = []
        centre = _coupled(loc, coupling, before)
        for c in range(count):
            total = total + log_bin(seen[..., c, :], centre, log_scale[..., c, :], self.top)
            before.append(seen[..., c, :] / self.top)
            if c + 1 < loc.shape[-2]:
                centre = _coupled(loc, coupling, before)
        return total, centre

    def mean(self, theta: jax.Array) -> jax.Array:
        """Exact in the first channel; in the others to first order in the coupling, with the
        component's mean of the channels before in the place of their draws."""
        logits, loc, log_scale, coupling = self._split(theta)
        means: list[jax.Array] = []
        for c in range(loc.shape[-2]):
            centre = _coupled(loc, coupling, means)
            means.append(bin_mean(centre, log_scale[..., c, :], self.top))
        return (jnp.stack(means, -2) * jax.nn.softmax(logits)[..., None, :]).sum(-1)

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """Grey values in [0, 1], channel by channel: [..., H, W, C]."""
        logits, loc, log_scale, coupling = self._split(theta)
        component, noise = jax.random.split(key)
        chosen = jax.random.categorical(component, logits)[..., None, None]
        loc, log_scale, coupling = (
            jnp.take_along_axis(part, chosen, axis=-1) for part in (loc, log_scale, coupling)
        )
        noise = jax.random.logistic(noise, loc.shape)
        drawn: list[jax.Array] = []
        for c in range(loc.shape[-2]):
            centre = _coupled(loc, coupling, drawn)
            drawn.append(draw_level(noise[..., c, :], centre, log_scale[..., c, :], self.top))
        return jnp.concatenate(drawn, axis=-1)

    def _split(self, theta: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Logits [..., H, W, K]; centres, log scales [..., C, K]; coefficients [..., pairs, K]."""
        k, outputs = self.mixtures, theta.shape[-1]
        c = next(c for c in itertools.count(1) if self.channels(c) >= outputs)
        logits, *rest = jnp.split(theta, (k, k + c * k, k + 2 * c * k), axis=-1)
        loc, log_scale, coupling = (p.reshape(*p.shape[:-1], p.shape[-1] // k, k) for p in rest)
        return logits, loc, bounded(log_scale), jnp.tanh(coupling)


def _coupled(loc: jax.Array, coupling: jax.Array, before: list[jax.Array]) -> jax.Array:
    """The centres [..., K] of the next channel, given x [..., K or 1] of the channels in
    `before`."""
    c = len(before)
    centre = loc[..., c, :]
    for j, x in enumerate(before):
        centre = centre + coupling[..., c * (c - 1) // 2 + j, :] * (x - 0.5)
    return centre
