"""Evaluation's functions on one small network, compiled for a target over all its devices.

    python -m experiments.accelerators.evaluation --target=v5e:2x2 --output=F.json
"""

import dataclasses
import sys
from typing import Any

from experiments.accelerators import rows
from vae import runs
from vae.hardware import targets

BATCH = 64  # examples of a device


def main(arguments: list[str]) -> int:
    """Compiles each function and writes what it needs."""
    target, output = rows.asked(arguments, "v5e:2x2")
    found = [_row(name, build, target) for name, build in _functions().items()]
    described = {"target": target.name, "programs": found}
    runs.write_json(output, described | runs.environment())
    return 0


def _functions() -> dict[str, Any]:
    """Of a `Compiled`: what each function is called with, beside x, and the function."""
    from vae.estimators import ais, bounds, gaps

    annealing = ais.Annealing(temperatures=50, chains=4, leapfrogs=5)
    return {
        "encode": lambda compiled: (compiled.encode, "x"),
        "decode": lambda compiled: (compiled.decode, "z"),
        "draw": lambda compiled: (compiled.draw, "z"),
        "elbo": lambda compiled: (compiled(bounds.elbo), "x"),
        "iwae of 64": lambda compiled: (compiled(bounds.iwae, 64), "x"),
        "ais": lambda compiled: (compiled(ais.ais, annealing), "x"),
        "local elbo": lambda compiled: (compiled(gaps.local_elbo, 20, 4), "x"),
    }


def _row(name: str, build: Any, target: targets.Target) -> dict[str, Any]:
    import jax
    import numpy as np

    from vae import automatic, data
    from vae.configs import digits
    from vae.estimators.compiled import Compiled
    from vae.hardware import ahead
    from vae.traced_for import tracing_for
    from vae.training import setup

    config = automatic.resolved(digits.get_config())
    dataset = data.load(config.data)
    program = setup.program(config, dataset)
    there = targets.devices(target)
    compiled = Compiled(lambda: program.model, dataset.shape)
    with tracing_for(target.platform):
        try:
            function, given = build(compiled)
            shape = dataset.shape if given == "x" else (config.model.latent_size,)
            grid = (len(there), BATCH)
            arguments = (
                {"params": compiled.shapes},
                (jax.ShapeDtypeStruct((*grid, *shape), np.float32),),
                jax.eval_shape(lambda: jax.random.key(0)),
                jax.ShapeDtypeStruct(grid, np.uint32),
            )
            needs = ahead.mapped(function.of_batch, arguments, (None, 0, None, 0), there, target)
        except Exception as error:  # a compiler raises anything
            return {"name": name, "compiled": False, "reason": " ".join(str(error).split())[:300]}
    return {"name": name, "compiled": True, **dataclasses.asdict(needs)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
