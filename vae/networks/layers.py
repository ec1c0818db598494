"""What encoders and decoders share: activations, initialisers, dropout, convolution modules."""

from collections.abc import Callable
from typing import ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from vae.choices import choose
from vae.errors import UserError
from vae.networks.convolutions import convolve, convolve_transpose

ACTIVATIONS = {
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "leaky_relu": jax.nn.leaky_relu,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
}


def map_sizes(shape: tuple[int, ...], levels: int) -> list[tuple[int, int]]:
    """Height and width of an image of this shape, and after each of so many halvings, rounded
    up."""
    height, width = shape[:2]
    return [(-(-height // 2**level), -(-width // 2**level)) for level in range(levels + 1)]


class Network(nn.Module):
    """What encoders and decoders say of themselves."""

    sequential: ClassVar[bool] = False  # it goes along a sequence, and is for tokens alone
    spatial: ClassVar[bool] = False  # it gives or takes a map of features: of a square, not a list
    coupled: ClassVar[bool] = False  # an example's features depend on others of its batch


def activation(name: str) -> Callable[[jax.Array], jax.Array]:
    """The function that the config's `model.activation` names."""
    return choose(ACTIVATIONS, name, "model.activation")


def gated(x: jax.Array) -> jax.Array:
    """a * sigmoid(b) for x [..., 2 W] that holds a and then b: [..., W] (Dauphin et al. 2017)."""
    a, b = jnp.split(x, 2, axis=-1)
    return a * jax.nn.sigmoid(b)


def gain(name: str) -> float:
    """The weight variance times fan-in that keeps the signal's size through this activation: 1 for
    saturating ones (Glorot & Bengio 2010), 2 for those that halve it (He et al. 2015)."""
    return 1.0 if name in ("sigmoid", "tanh") else 2.0


def dense_init(name: str) -> nn.initializers.Initializer:
    """Kernel initialiser of a dense layer: Glorot uniform at gain 1, as in Burda et al. 2015."""
    average: Literal["fan_avg", "fan_in"] = "fan_avg" if gain(name) == 1.0 else "fan_in"
    return nn.initializers.variance_scaling(gain(name), average, "uniform")


def dropout(x: jax.Array, keys: jax.Array | None, rate: float, layer: int) -> jax.Array:
    """Zeroes a share `rate` of each example's values and scales the rest up by 1 / (1 - rate).

    Args:
      x: [B, ...].
      keys: one key an example [B], so that the noise follows the example; None: no dropout.
      layer: the layer's number in the network; each draws its own noise.
    """
    if keys is None or rate == 0.0:
        return x

    def kept(key: jax.Array) -> jax.Array:
        return jax.random.bernoulli(jax.random.fold_in(key, layer), 1.0 - rate, x.shape[1:])

    return jnp.where(jax.vmap(kept)(keys), x / (1.0 - rate), 0.0).astype(x.dtype)


def widened(x: jax.Array) -> jax.Array:
    """A network's output: float32 whatever it computes in, but float64 stays."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def check_image(network: str, shape: tuple[int, ...]) -> None:
    """Refuses data that is not an image: convolutions need neighbours."""
    if len(shape) != 3:
        raise UserError(
            f"the {network} network needs images [H, W, C], but an example's shape is "
            f"{tuple(shape)}; use model.encoder='mlp' and model.decoder='mlp'"
        )


class Conv(nn.Module):
    """Zero-padded convolution: [B, H, W, C] -> [B, ceil(H / stride), ceil(W / stride), F]."""

    features: int
    size: int = 4  # of the kernel: a multiple of the stride
    stride: int = 2
    gain: float = 1.0  # variance of the weights times their fan-in
    dtype: DTypeLike = jnp.float32
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """x [B, H, W, C] -> [B, H / stride, W / stride, F], sizes rounded up."""
        fan_in = self.size**2 * x.shape[-1]
        shape = (self.size, self.size, x.shape[-1], self.features)
        init = nn.initializers.normal((self.gain / fan_in) ** 0.5)
        kernel = self.param("kernel", init, shape, jnp.float32)
        bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
        x, kernel, bias = (a.astype(self.dtype) for a in (x, kernel, bias))
        return convolve(x, kernel, self.stride) + bias


class ConvTranspose(nn.Module):
    """Transposed convolution: [B, ceil(H / stride), ceil(W / stride), C] -> [B, H, W, features].

    The kernel is that of the convolution it transposes: [size, size, features, C].
    """

    features: int
    shape: tuple[int, int]  # H, W of the result
    size: int = 4
    stride: int = 2
    gain: float = 1.0
    dtype: DTypeLike = jnp.float32
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, y: jax.Array) -> jax.Array:
        """y [B, H / stride, W / stride, C], sizes rounded up -> [B, H, W, features]."""
        fan_in = (self.size // self.stride) ** 2 * y.shape[-1]  # taps that meet in one pixel
        shape = (self.size, self.size, self.features, y.shape[-1])
        init = nn.initializers.normal((self.gain / fan_in) ** 0.5)
        kernel = self.param("kernel", init, shape, jnp.float32)
        bias = self.param("bias", self.bias_init, (self.features,), jnp.float32)
        y, kernel, bias = (a.astype(self.dtype) for a in (y, kernel, bias))
        return convolve_transpose(y, kernel, self.stride, self.shape) + bias


class Residual(nn.Module):
    """x + conv3x3(act(conv3x3(act(x)))), which starts as the identity (He et al. 2016)."""

    activation: str
    dropout: float
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: jax.Array, keys: jax.Array | None, layer: int) -> jax.Array:
        """x [B, H, W, C] -> the same shape; `layer` numbers its dropout's noise."""
        act, width = activation(self.activation), x.shape[-1]
        inner = Conv(width, size=3, stride=1, gain=gain(self.activation), dtype=self.dtype)(act(x))
        inner = dropout(act(inner), keys, self.dropout, layer)
        return x + Conv(width, size=3, stride=1, gain=0.0, dtype=self.dtype)(inner)
