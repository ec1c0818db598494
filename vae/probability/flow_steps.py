"""Steps z -> z' of flows whose parameters come from the encoder, with log |det dz'/dz|.

z is [..., B, L] and the parameters [B, ...]; each returns (z' [..., B, L], log det [..., B]).
"""

import flax.struct
import jax
import jax.numpy as jnp

from vae.probability.distributions import times

TINY = 1e-8  # keeps the division by |w|^2 and the gradient of |z| finite at 0
LOG_E_MINUS_1 = 0.541324854612918


def dot(a: jax.Array, b: jax.Array) -> jax.Array:
    """The inner product over the last axis: [..., L] -> [...]."""
    return (a * b).sum(-1)


@flax.struct.dataclass
class Planar:
    """z' = z + u tanh(w . z + b) (Rezende & Mohamed 2015, eq. 10).

    Invertible as long as w . u > -1 (appendix A.1): u is moved along w until w . u is m(w . u),
    m(a) = softplus(a + log(e - 1)) - 1. The paper's m lacks the shift, which makes m(0) = 0: so
    small w and u are near the identity.
    """

    u: jax.Array  # [B, L]
    w: jax.Array  # [B, L]
    b: jax.Array  # [B]

    def forward(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """z' [..., B, L] and log |det dz'/dz| [..., B]."""
        along = dot(self.w, self.u)
        missing = jax.nn.softplus(along + LOG_E_MINUS_1) - 1.0 - along
        u = self.u + self.w * (missing / (dot(self.w, self.w) + TINY))[..., None]
        h = jnp.tanh(dot(z, self.w) + self.b)
        slope = 1.0 - jnp.square(h)
        return z + u * h[..., None], jnp.log1p(slope * dot(u, self.w))


@flax.struct.dataclass
class Radial:
    """z' = z + beta (z - z0) / (alpha + r), r = |z - z0| (Rezende & Mohamed 2015, eq. 14).

    alpha = softplus(raw_alpha); beta = softplus(raw_beta) - alpha > -alpha, which makes it
    invertible (appendix A.2).
    """

    z0: jax.Array  # [B, L]
    raw_alpha: jax.Array  # [B]
    raw_beta: jax.Array  # [B]

    def forward(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """z' [..., B, L] and log |det dz'/dz| [..., B]."""
        alpha = jax.nn.softplus(self.raw_alpha)
        beta = jax.nn.softplus(self.raw_beta) - alpha
        away = z - self.z0
        r = jnp.sqrt(dot(away, away) + TINY**2)
        h = beta / (alpha + r)
        across, along = jnp.log1p(h), jnp.log1p(h * alpha / (alpha + r))
        return z + h[..., None] * away, (z.shape[-1] - 1) * across + along


@flax.struct.dataclass
class Sylvester:
    """z' = z + Q R tanh(R2 Q^T z + b) (van den Berg et al. 2018, eq. 9).

    Q [B, L, M] has orthonormal columns, R and R2 are upper-triangular. Invertible as the products
    of their diagonals are above -1 (theorem 2): here those pass tanh, as in the authors' code.
    """

    q: jax.Array  # [B, L, M]
    r: jax.Array  # [B, M, M]
    r2: jax.Array  # [B, M, M]
    b: jax.Array  # [B, M]

    def forward(self, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """z' [..., B, L] and log |det dz'/dz| [..., B]."""
        inner = times(self.r2, times(self.q.swapaxes(-1, -2), z)) + self.b
        h = jnp.tanh(inner)
        diagonals = jnp.diagonal(self.r, axis1=-2, axis2=-1) * jnp.diagonal(
            self.r2, axis1=-2, axis2=-1
        )
        log_det = jnp.log1p(diagonals * (1.0 - jnp.square(h))).sum(-1)
        return z + times(self.q, times(self.r, h)), log_det


def upper(entries: jax.Array, diagonal: jax.Array) -> jax.Array:
    """[..., M, M] with tanh(diagonal), and above it the values of `entries` [..., M, M]."""
    eye = jnp.eye(diagonal.shape[-1])
    return jnp.triu(entries, 1) + jnp.tanh(diagonal)[..., None] * eye


def orthonormal(raw: jax.Array) -> jax.Array:
    """Q [B, L, M] of the QR decomposition of I + raw: it has its full rank for any small raw.

    By the modified Gram-Schmidt process. jnp.linalg.qr of a batch, in a loop, can deadlock on CPUs.
    The paper's iteration converges to an orthonormal matrix; this one is exact.
    """

    def settle(rest: jax.Array, place: jax.Array) -> tuple[jax.Array, jax.Array]:
        chosen = jnp.arange(raw.shape[-1]) == place
        v = jnp.where(chosen, rest, 0.0).sum(-1)
        v = v / jnp.sqrt(dot(v, v) + TINY**2)[..., None]
        along = (rest * v[..., None]).sum(-2, keepdims=True)  # [B, 1, M]
        return rest - v[..., None] * along, v

    start = jnp.eye(raw.shape[-2], raw.shape[-1]) + raw
    return jnp.moveaxis(jax.lax.scan(settle, start, jnp.arange(raw.shape[-1]))[1], 0, -1)


def reflections(raw: jax.Array) -> jax.Array:
    """The product of H Householder reflections I - 2 v v^T / |v|^2: raw [..., H, L] -> [..., L, L].

    v_h is raw_h plus a basis vector, so that it is not 0 where raw is.
    """
    count, size = raw.shape[-2:]
    eye = jnp.eye(size)
    result = jnp.broadcast_to(eye, (*raw.shape[:-2], size, size))
    for h in range(count):
        v = raw[..., h, :] + eye[h % size]
        v = v / jnp.sqrt(dot(v, v))[..., None]
        result = result - 2.0 * times(result, v)[..., None] * v[..., None, :]
    return result
