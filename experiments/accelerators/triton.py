"""The smallest program that XLA does not compile for a GPU without autotuning, and does otherwise.

    python -m experiments.accelerators.triton --target=h100:1 --output=F.json

The mixed values of an attention over 49 positions, times a matrix, as in the prior of a VQ-VAE of
7 x 7 codes. XLA fuses the product with the transposition before it into a Triton kernel. How large
that kernel's tiles are is chosen by timing some; where nothing may be timed it takes a default,
which does not fit ("Couldn't find output tile sizes"). Without Triton's products it compiles, and
so does the same without the transposition.
"""

import sys
import time

from experiments.accelerators import rows
from vae import runs
from vae.hardware import program_text, targets

BATCH, HEADS, POSITIONS, SIZE = 50, 4, 49, 16
WITH = {"xla_gpu_enable_triton_gemm": True}


def main(arguments: list[str]) -> int:
    """Compiles the program in three ways and writes which compile."""
    target, output = rows.asked(arguments, "h100:1")

    import jax
    import jax.numpy as jnp

    from vae.training.engine import needed_bytes

    def transposed(weights: jax.Array, v: jax.Array, kernel: jax.Array) -> jax.Array:
        mixed = jnp.einsum("nhpq,nqhd->nphd", weights, v)
        return mixed.reshape(BATCH, POSITIONS, HEADS * SIZE) @ kernel

    def straight(weights: jax.Array, v: jax.Array, kernel: jax.Array) -> jax.Array:
        mixed = jnp.einsum("nhpq,nqhd->nhpd", weights, v)
        return mixed.reshape(BATCH, POSITIONS, HEADS * SIZE) @ kernel

    place = jax.sharding.SingleDeviceSharding(targets.devices(target)[0])
    sizes = (
        (BATCH, HEADS, POSITIONS, POSITIONS),
        (BATCH, POSITIONS, HEADS, SIZE),
        (HEADS * SIZE, HEADS * SIZE),
    )
    shapes = [jax.ShapeDtypeStruct(size, jnp.float32, sharding=place) for size in sizes]
    found = []
    for name, function, options in (
        ("product of a transposition, by Triton", transposed, target.options | WITH),
        ("product of a transposition, not by Triton", transposed, target.options),
        ("product without a transposition, by Triton", straight, target.options | WITH),
    ):
        began = time.perf_counter()
        try:
            compiled = jax.jit(function).lower(*shapes).compile(compiler_options=options)
        except Exception as error:  # a compiler raises anything
            said = " ".join(str(error).split())[:120]
            found.append({"name": name, "compiled": False, "reason": said})
            continue
        seconds, done = time.perf_counter() - began, program_text.read(compiled)
        found.append({
            "name": name, "compiled": True, "compile_seconds": seconds,
            "needed_bytes": needed_bytes(compiled.memory_analysis()),
            "moved_bytes": done.bytes, "collectives": done.collectives,
            "collective_bytes": done.collective_bytes,
        })  # fmt: skip
    runs.write_json(output, {"programs": found} | runs.environment())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
