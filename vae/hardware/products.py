"""The arithmetic of a traced program, counted exactly: its products, whatever compiles them."""

import math
from collections.abc import Iterator
from typing import Any

import jax


def flops(function: Any, *args: Any) -> int:
    """Floating-point operations of the matrix products and convolutions of a call: two for each
    multiplication with its addition.

    A scan counts as often as it runs, of a branch the larger side, a loop whose length is not known
    once. Elementwise arithmetic is not counted: on accelerators it hides behind memory.

    Args:
      args: of the function, or their shapes.
    """
    return _of(jax.make_jaxpr(function)(*args).jaxpr)


def dots(function: Any, *args: Any) -> list[Any]:
    """The equations of a call's matrix products, in order, those of inner programs once."""

    def found(jaxpr: Any) -> Iterator[Any]:
        for equation in jaxpr.eqns:
            if equation.primitive.name == "dot_general":
                yield equation
            for inner in _inside(equation.params):
                yield from found(inner)

    return list(found(jax.make_jaxpr(function)(*args).jaxpr))


def _of(jaxpr: Any) -> int:
    return sum(_equation(equation) for equation in jaxpr.eqns)


def _equation(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        length = math.prod(shape[axis] for axis in contracted)
        return 2 * length * math.prod(equation.outvars[0].aval.shape)
    if name == "conv_general_dilated":
        kernel, numbers = equation.invars[1].aval.shape, params["dimension_numbers"].rhs_spec
        taps = math.prod(kernel) // kernel[numbers[0]]  # inputs of one output, channels included
        dilation = math.prod(params["lhs_dilation"])  # zeros between inputs are no work
        return 2 * taps * math.prod(equation.outvars[0].aval.shape) // dilation
    inner = [_of(each) for each in _inside(params)]
    if name == "cond":
        return max(inner, default=0)
    return sum(inner) * (params["length"] if name == "scan" else 1)


def _inside(params: dict[str, Any]) -> list[Any]:
    """The programs within an equation."""
    found = []
    for value in params.values():
        for each in value if isinstance(value, (tuple, list)) else [value]:
            each = getattr(each, "jaxpr", each)  # a closed one holds the open one
            if hasattr(each, "eqns"):
                found.append(each)
    return found
