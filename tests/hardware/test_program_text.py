"""What is read from a compiled program's text: bytes and collectives, against known programs."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from vae.hardware.program_text import Text, read

N = 256
F32 = 4
# Of a product whose result the loop carries: its operands and result; and a copy where the compiler
# makes one, with a few scalars.
TURN = (F32 * 3 * N * N, F32 * 5 * N * N + 100)


def compiled(function, *args):
    return jax.jit(function).lower(*args).compile()


def test_a_product_moves_its_operands_and_its_result():
    a, b = np.zeros((N, 2 * N), np.float32), np.zeros((2 * N, N), np.float32)
    done = compiled(jnp.dot, a, b)
    assert read(done).bytes == F32 * (2 * N * 2 * N + N * N)
    assert read(done).bytes == done.cost_analysis()["bytes accessed"]


def test_what_is_fused_moves_once():
    a = np.zeros(N * N, np.float32)
    assert read(compiled(lambda a: jnp.exp(jnp.sin(a) * 2.0 + a), a)).bytes == F32 * 2 * N * N


def test_a_loop_of_known_length_counts_as_often_as_it_runs():
    a = np.zeros((N, N), np.float32)

    def powers(a, length):
        return lax.scan(lambda x, _: (jnp.dot(x, a), None), a, None, length=length)[0]

    short, long = (read(compiled(lambda a, n=n: powers(a, n), a)).bytes for n in (10, 30))
    assert TURN[0] <= (long - short) / 20 <= TURN[1]


def test_a_step_is_one_turn_of_the_loop_whose_length_is_not_known():
    a = np.zeros((N, N), np.float32)

    def loop(a, count):
        return lax.fori_loop(0, count, lambda _, x: jnp.dot(x, a), a)

    done = read(compiled(loop, a, np.int32(5)))
    assert TURN[0] <= done.bytes <= TURN[1]


def test_a_row_that_is_picked_counts_and_not_what_it_is_picked_from():
    data = np.zeros((100_000, N), np.float32)

    def picked(data, rows):
        return jnp.sin(data[rows]).sum(0)

    done = read(compiled(picked, data, np.zeros(8, np.int32)))
    assert done.bytes < 0.01 * data.nbytes


GATHERED = """HloModule known, entry_computation_layout={()->f32[]}

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  %y = f32[] parameter(1)
  ROOT %sum = f32[] add(%x, %y)
}

%inner (p: (s32[], f32[10])) -> (s32[], f32[10]) {
  %p = (s32[], f32[10]{0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %v = f32[10]{0:T(256)} get-tuple-element(%p), index=1
  %shared = f32[10]{0:T(256)} all-reduce(%v), replica_groups={{0,1}}, to_apply=%add
  ROOT %out = (s32[], f32[10]{0}) tuple(%i, %shared)
}

%short (p: (s32[], f32[10])) -> pred[] {
  %p.1 = (s32[], f32[10]{0}) parameter(0)
  ROOT %less = pred[] constant(true)
}

%step (p: (s32[], f32[10])) -> (s32[], f32[10]) {
  %p.2 = (s32[], f32[10]{0}) parameter(0)
  %w = (s32[], /*index=1*/f32[10]{0}) while(%p.2), condition=%short, body=%inner, backend_config={"known_trip_count":{"n":"3"}}
  %u = f32[10]{0} get-tuple-element(%w), index=1
  %begun = (f32[10]{0}, f32[20]{0}) all-gather-start(%u), dimensions={0}
  %whole = f32[20]{0} all-gather-done(%begun)
  ROOT %out.2 = (s32[], f32[10]{0}) tuple(%i, %u)
}

ENTRY %main (a: f32[10]) -> f32[10] {
  %a = f32[10]{0} parameter(0)
  %t = (s32[], f32[10]{0}) tuple(%zero, %a)
  %loop = (s32[], f32[10]{0}) while(%t), condition=%short, body=%step
  ROOT %last = f32[10]{0} get-tuple-element(%loop), index=1
}
"""  # noqa: E501  # one instruction a line


def test_collectives_are_counted_as_often_as_a_step_calls_them():
    step = Text(GATHERED).step()
    assert step.collectives == {"all-reduce": 3, "all-gather": 1}
    assert step.collective_bytes == 4 * 10 * F32
    assert step.count == 4
