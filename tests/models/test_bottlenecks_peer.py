"""Bottlenecks against the PyTorch library vector-quantize-pytorch, on the same inputs and codes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.margins import fixed_rng
from vae.models import bottlenecks

torch = pytest.importorskip("torch", reason="the comparison needs the extra bench")
peer = pytest.importorskip("vector_quantize_pytorch", reason="the same")

POSITIONS, SIZE = 6, 4


def raw(count=5, size=SIZE, scale=1.5):
    return scale * fixed_rng(1).standard_normal((count, POSITIONS, size)).astype(np.float32)


def tables(number, codes=9):
    return fixed_rng(2).standard_normal((number, codes, SIZE)).astype(np.float32)


def ours(module, params, x):
    """Codes, values, and the gradient to x of their products with fixed weights."""
    q = module.apply({"params": params}, x)

    def weighted(x):
        return (module.apply({"params": params}, x).through * weights(q.quantised)).sum()

    return q.indices, q.quantised, jax.grad(weighted)(jnp.asarray(x))


def weights(values):
    return fixed_rng(3).standard_normal(values.shape).astype(np.float32)


def theirs(module, x):
    given = torch.tensor(x, requires_grad=True)
    values, indices, *_ = module(given)
    (values * torch.tensor(weights(values))).sum().backward()
    return indices.detach().numpy(), values.detach().numpy(), given.grad.numpy()


def check(one, other):
    np.testing.assert_array_equal(one[0], other[0])
    for value, expected in zip(one[1:], other[1:], strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-5)


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (7, 3, 4), (8, 6, 5)])
def test_fsq_and_its_gradient(levels):
    """The library's default is the paper's: levels of an even number are not symmetric."""
    x = raw(size=len(levels), scale=2.0)
    module = bottlenecks.fsq(len(levels), code_levels=levels)
    check(ours(module, {}, x), theirs(peer.FSQ(list(levels)), x))


@pytest.mark.parametrize("rotation", [False, True])
def test_vq_and_its_gradient(rotation):
    (table,), x = tables(1), raw()
    other = peer.VectorQuantize(SIZE, 9, rotation_trick=rotation)
    other.codebook = torch.tensor(table)
    module = bottlenecks.vq(SIZE, num_codes=9, rotation=rotation)
    params = {"table_of": {"codebook_0": {"codes": table}}}
    check(ours(module, params, x), theirs(other, x))


def test_residual_codes_and_values():
    x, known = raw(), tables(3)
    other = peer.ResidualVQ(dim=SIZE, num_quantizers=3, codebook_size=9).eval()
    for layer, table in zip(other.layers, known, strict=True):
        layer.codebook = torch.tensor(table)
    values, indices, *_ = other(torch.tensor(x))
    module = bottlenecks.residual(SIZE, num_codes=9, code_depth=3)
    params = {f"tables_{n}": {"codebook_0": {"codes": table}} for n, table in enumerate(known)}
    q = module.apply({"params": params}, x)
    np.testing.assert_array_equal(q.indices - 9 * np.arange(3), indices.numpy())
    np.testing.assert_allclose(q.quantised, values.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["lfq", "bsq"])
def test_signs_and_their_numbers(name):
    """The library's first bit is the highest of a number, and ours the lowest."""
    x = raw()
    other = peer.LFQ(dim=SIZE, spherical=name == "bsq").eval()
    values, indices, *_ = other(torch.tensor(x))
    q = getattr(bottlenecks, name)(SIZE).apply({}, x)
    bits = np.asarray(q.indices)[..., None] // 2 ** np.arange(SIZE) % 2
    np.testing.assert_array_equal((bits * 2 ** np.arange(SIZE)[::-1]).sum(-1), indices.numpy())
    np.testing.assert_allclose(q.quantised, values.detach().numpy(), atol=1e-5)
