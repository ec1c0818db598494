"""A trained run for other programs: its weights as safetensors, its functions as StableHLO.

`export --format=safetensors` writes one file with the weights that the run is evaluated with, by
path, and the config and the data's facts as text in its header. `--format=stablehlo` writes a
folder with one program a function, which `jax.export` reads without this package, on the platforms
that it was lowered for; the batch is of any size.
"""

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae import npz, runs
from vae.checkpoint import flatten
from vae.choices import choose
from vae.errors import UserError
from vae.evaluation.trained import Trained, load

FORMATS = {"safetensors": "safetensors", "stablehlo": "flatbuffers"}  # and the package for each
PLATFORMS = ("cpu", "cuda", "tpu")


def export(workdir: str | Path, output: str | Path, form: str) -> list[Path]:
    """Writes a trained run in a form that other programs read; returns the paths.

    Args:
      output: a .safetensors file; or a folder for StableHLO, made where it is not there.
      form: "safetensors" or "stablehlo".

    Raises:
      UserError: no run there, no such form, or a package that it needs is missing.
    """
    path = Path(output)
    if importlib.util.find_spec(choose(FORMATS, form, "--format")) is None:
        raise UserError(f"--format={form} needs {FORMATS[form]}: pip install 'vae[export]'")
    if form == "safetensors" and path.suffix != ".safetensors":
        raise UserError(f"--output={output}: give a name that ends in .safetensors")
    run = load(workdir)
    path.parent.mkdir(parents=True, exist_ok=True)
    return [_safetensors(run, path)] if form == "safetensors" else _stablehlo(run, path)


def about(run: Trained) -> dict[str, str]:
    """What goes with the weights, as text: config, data, step, versions."""
    environment = runs.environment()
    return {
        "format": "vae/1",
        "config": json.dumps(run.config.to_dict()),
        "data": json.dumps(run.described),
        "step": str(run.step),
        "versions": json.dumps(environment["versions"]),
        "git_revision": environment["git_revision"],
    }


def _safetensors(run: Trained, path: Path) -> Path:
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(value) for name, value in flatten(run.params).items()}
    with npz.replacing(path) as temporary:
        save_file(arrays, temporary, about(run))
    return path


def functions(run: Trained) -> dict[str, tuple[Callable[..., Any], Sequence[tuple[int, ...]]]]:
    """Functions of batches with the weights inside, by name, and the shapes of the examples that
    each takes: `encode` x to mean and standard deviation of q(z|x); `decode` z to E[x|z];
    `log_prob` x and z to log p(x|z) + log p(z) - log q(z|x) where q has a density, which averages
    to the ELBO over z of q(z|x)."""
    model, weights, latents = run.model, run.variables, run.facts.latent_size
    given = (run.facts.context_size,) if run.facts.conditional else ()

    def bound(context: tuple[jax.Array, ...]) -> Any:
        extra = {"context": {"c": context[0]}} if context else {}
        return model.bind({**weights, **extra})

    def encode(x: jax.Array, *context: jax.Array) -> tuple[jax.Array, jax.Array]:
        q = bound(context).encode(x)
        return q.mean, q.std

    def decode(z: jax.Array, *context: jax.Array) -> jax.Array:
        return bound(context).mean(z).reshape(z.shape[0], *run.shape)

    def log_prob(x: jax.Array, z: jax.Array, *context: jax.Array) -> jax.Array:
        of = bound(context)
        log_q = of.encode(x).log_prob(z)
        return of.log_likelihood(of.theta(z, x), x) + of.log_prior(z) - log_q

    contexts = [given] if given else []
    found: dict[str, tuple[Callable[..., Any], Sequence[tuple[int, ...]]]] = {
        "encode": (encode, [run.shape, *contexts]),
        "decode": (decode, [(latents,), *contexts]),
    }
    if model.distribution.has_density:
        found["log_prob"] = (log_prob, [run.shape, (latents,), *contexts])
    return found


def _stablehlo(run: Trained, folder: Path) -> list[Path]:
    from jax import export as exporting

    folder.mkdir(exist_ok=True)
    written = []
    (size,) = exporting.symbolic_shape("b")
    for name, (function, shapes) in functions(run).items():
        args = [jax.ShapeDtypeStruct((size, *shape), jnp.float32) for shape in shapes]
        program = exporting.export(jax.jit(function), platforms=PLATFORMS)(*args)
        path = folder / f"{name}.stablehlo"
        with npz.replacing(path) as temporary:
            Path(temporary).write_bytes(program.serialize())
        written.append(path)
    runs.write_json(folder / "about.json", about(run))
    return [*written, folder / "about.json"]
