"""The likelihood of a table whose columns are of kinds of their own, and may have holes."""

import dataclasses
import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from vae.columns import Column
from vae.probability.column_kinds import KINDS, Kind
from vae.probability.elementwise import flat
from vae.protocols import Likelihood


@dataclasses.dataclass(frozen=True)
class _Group:
    """Columns that are computed together."""

    kind: Kind
    at: np.ndarray  # their numbers [n]
    first: int  # of their outputs, those of one column next to each other
    outputs: int  # a column
    first_scalar: int  # the same of the learned numbers, behind all outputs
    scalars: int

    def parts(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Outputs [..., n, k] and scalars [..., n, s] of theta [..., P + S]."""
        n, (a, b) = len(self.at), (self.first, self.first_scalar)
        outputs = theta[..., a : a + n * self.outputs]
        scalars = theta[..., b : b + n * self.scalars]
        return (
            outputs.reshape(*theta.shape[:-1], n, self.outputs),
            scalars.reshape(*theta.shape[:-1], n, self.scalars),
        )


@dataclasses.dataclass(frozen=True)
class columns(Likelihood):  # noqa: N801  (the name is the config value)
    """A table [B, D] whose columns are each of a kind of their own; NaN is a missing cell.

    log p(x|z) is the sum over what is observed, so a bound made of it is one of p(x observed)
    (Mattei & Frellsen 2019, section 3), in the columns' own units. theta [..., P + S, 1]: the P
    outputs of all columns, kind by kind, then their S learned numbers.
    """

    kinds = ("columns",)
    vectors = True
    columns: tuple[Column, ...] = (Column(),)

    @functools.cached_property
    def groups(self) -> tuple[_Group, ...]:
        """The columns by kind and number of levels."""
        places: dict[tuple[str, int], list[int]] = {}
        for number, column in enumerate(self.columns):
            places.setdefault((column.kind, len(column.levels)), []).append(number)
        made = [(KINDS[name]([self.columns[n] for n in at]), np.array(at))
                for (name, _), at in places.items()]  # fmt: skip
        found, first = [], 0
        first_scalar = sum(kind.initial()[0].size for kind, _ in made)
        for kind, at in made:
            outputs, scalars = kind.initial()
            found.append(
                _Group(kind, at, first, outputs.shape[1], first_scalar, scalars.shape[1])
            )
            first, first_scalar = first + outputs.size, first_scalar + scalars.size
        return tuple(found)

    @functools.cached_property
    def _order(self) -> np.ndarray:
        """Where each column stands when groups are put one after the other: [D]."""
        return np.argsort(np.concatenate([group.at for group in self.groups]))

    def decoded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(P,): the outputs of all columns."""
        return (sum(len(group.at) * group.outputs for group in self.groups),)

    def channels(self, data_channels: int) -> int:
        """One: a column has several outputs rather than several channels."""
        return 1

    def initial_scalars(self) -> np.ndarray:
        """Scales, concentrations, dispersions, degrees of freedom, cut points: [S]."""
        parts = [group.kind.initial()[1].ravel() for group in self.groups]
        return np.concatenate(parts).astype(np.float32)

    def joined(self, theta: jax.Array, scalars: jax.Array) -> jax.Array:
        """theta [..., P, 1] and the learned numbers [S], one after the other."""
        each = jnp.broadcast_to(scalars[:, None], (*theta.shape[:-2], *scalars.shape, 1))
        return jnp.concatenate([theta, each], axis=-2)

    def output_bias(self, mean: np.ndarray) -> np.ndarray:
        """Outputs [P, 1] that give the columns' `start`, whatever the mean."""
        parts = [group.kind.initial()[0].ravel() for group in self.groups]
        return np.concatenate(parts)[:, None]

    def encoder_input(self, x: jax.Array) -> jax.Array:
        """[B, F]: numbers, log(1 + x) of counts, standardised; levels one-hot; 0 where a cell is
        missing; then what is observed, of the columns with holes in the training set."""
        parts = [group.kind.encode(x[..., group.at]) for group in self.groups]
        told = jnp.concatenate([part.reshape(*x.shape[:-1], -1) for part in parts], axis=-1)
        told = jnp.where(jnp.isnan(told), 0.0, told)
        holes = np.flatnonzero([column.holes for column in self.columns])
        return jnp.concatenate([told, ~jnp.isnan(x[..., holes])], axis=-1)

    def log_prob(self, theta: jax.Array, x: jax.Array) -> jax.Array:
        """log p(x observed | z): [..., B] nats; 0 of a row without a cell."""
        return jnp.concatenate(list(self.log_prob_each(theta, x)), axis=-1).sum(-1)

    def log_prob_each(self, theta: jax.Array, x: jax.Array) -> Iterator[jax.Array]:
        """The same of each cell, 0 of missing ones, group by group: [..., B, n]."""
        theta, x = flat(theta, x), flat(x, x)
        for group in self.groups:
            values = x[..., group.at]
            there = ~jnp.isnan(values)
            filled = jnp.where(there, values, 0.0)  # else gradients would be NaN
            log_p = group.kind.log_prob(filled, *group.parts(theta))
            yield jnp.where(there, log_p, 0.0)

    def expected(self, theta: jax.Array) -> jax.Array:
        """What an average over z is taken of, [..., F]: means of numbers, of log-normal ones as
        shares of their geometric mean, and probabilities of levels."""
        theta = theta[..., 0]
        parts = [group.kind.expected(*group.parts(theta)) for group in self.groups]
        return jnp.concatenate([part.reshape(*theta.shape[:-1], -1) for part in parts], axis=-1)

    def of_expected(self, expected: jax.Array) -> jax.Array:
        """The cells of such an average [..., F]: their means as the model sees numbers, and the
        codes of the most probable levels, [..., D]."""
        cells, first = [], 0
        for group in self.groups:
            n, width = len(group.at), group.kind.width
            part = expected[..., first : first + n * width]
            cells.append(group.kind.mean(part.reshape(*part.shape[:-1], n, width)))
            first += n * width
        return jnp.concatenate(cells, axis=-1)[..., self._order]

    def mean(self, theta: jax.Array) -> jax.Array:
        """E[x|z] as the model sees numbers, counts too; of levels the most probable code:
        [..., D, 1]."""
        return self.of_expected(self.expected(theta))[..., None]

    def sample(self, key: jax.Array, theta: jax.Array) -> jax.Array:
        """A whole row: [..., D, 1]."""
        keys = jax.random.split(key, len(self.groups))
        parts = [
            group.kind.sample(own, *group.parts(theta[..., 0]))
            for own, group in zip(keys, self.groups, strict=True)
        ]
        return jnp.concatenate(parts, axis=-1)[..., self._order, None]
