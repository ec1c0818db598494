"""Products of a traced program against those counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from vae.hardware.products import dots, flops

A, B = np.zeros((4, 5), np.float32), np.zeros((5, 6), np.float32)
PRODUCT = 2 * 4 * 5 * 6


def test_a_product_is_two_operations_a_term():
    assert flops(jnp.dot, A, B) == PRODUCT
    assert flops(lambda a, b: jnp.sin(a @ b) + 1.0, A, B) == PRODUCT


def test_its_gradient_is_two_more():
    both = jax.grad(lambda pair: (pair[0] @ pair[1]).sum())
    value_too = jax.value_and_grad(lambda pair: jnp.square(pair[0] @ pair[1]).sum())
    assert flops(both, (A, B)) >= 2 * PRODUCT
    assert flops(value_too, (A, B)) == 3 * PRODUCT


def test_a_batch_multiplies():
    assert flops(jax.vmap(jnp.dot), np.zeros((7, 4, 5)), np.zeros((7, 5, 6))) == 7 * PRODUCT


def test_a_scan_counts_as_often_as_it_runs():
    def scanned(a):
        return lax.scan(lambda x, _: (jnp.tanh(x @ a), None), a, None, length=9)[0]

    assert flops(scanned, np.zeros((5, 5), np.float32)) == 9 * 2 * 5**3


def test_the_larger_branch_and_one_turn_of_an_unknown_loop_count():
    square = np.zeros((5, 5), np.float32)

    def branches(a, flag):
        return lax.cond(flag, lambda a: a @ a @ a, lambda a: a @ a, a)

    def loop(a, count):
        return lax.fori_loop(0, count, lambda _, x: x @ a, a)

    assert flops(branches, square, True) == 2 * 2 * 5**3
    assert flops(loop, square, 3) == 2 * 5**3


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_is_a_product_a_pixel_and_tap(stride):
    x, kernel = np.zeros((2, 8, 8, 3), np.float32), np.zeros((4, 4, 3, 5), np.float32)
    layout = ("NHWC", "HWIO", "NHWC")

    def forth(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), "SAME", dimension_numbers=layout
        )

    pixels = 2 * (8 // stride) ** 2
    assert flops(forth, x, kernel) == 2 * pixels * 5 * 4 * 4 * 3


def test_a_transposed_one_does_not_count_the_zeros_between():
    x, kernel = np.zeros((2, 4, 4, 5), np.float32), np.zeros((4, 4, 3, 5), np.float32)
    layout = ("NHWC", "HWIO", "NHWC")

    def back(x, kernel):
        return lax.conv_transpose(
            x, kernel, (2, 2), "SAME", dimension_numbers=layout, transpose_kernel=True
        )

    assert flops(back, x, kernel) == 2 * (2 * 4 * 4) * 3 * 4 * 4 * 5


def test_products_are_listed_with_their_shapes_in_order():
    """Those of a scan once, as they are written."""

    def twice(x, w):
        return lax.scan(lambda x, _: (x @ w, None), x @ w[:, :3] @ w[:3], None, 5)[0]

    x, w = np.zeros((2, 4), np.float32), np.zeros((4, 4), np.float32)
    found = dots(twice, x, w)
    assert [tuple(a.aval.shape for a in each.invars) for each in found] == [
        ((2, 4), (4, 3)), ((2, 3), (3, 4)), ((2, 4), (4, 4)),
    ]  # fmt: skip
