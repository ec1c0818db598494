"""The verbs compress and decompress."""

import dataclasses
import hashlib
import json
from pathlib import Path

import jax
import numpy as np

from vae import npz
from vae.coding import container
from vae.coding.bins import Bins
from vae.coding.bits_back import Coded, Coder
from vae.errors import UserError
from vae.evaluation import inputs
from vae.evaluation.trained import Trained, load

SEED = 0  # of the first bits
PRECISION, FINEST = 12, 16  # bits of a latent: by default, and at most
STREAMS = 16
MOST_COUNTS = 4096  # values of a table


@dataclasses.dataclass(frozen=True)
class Written:
    """What `compress` wrote."""

    num: int  # examples
    values: int  # numbers of one
    bytes: int  # of the file
    coded: Coded

    def describe(self) -> str:
        """Two lines: the size, and the rate beside its bound."""
        each, ideal = self.coded.net / self.num, self.coded.ideal.mean()
        return (
            f"{self.num:,} examples in {self.bytes:,} bytes, of which {self.coded.first // 8:,} "
            f"are the random bits that the first ones need\n"
            f"{each:,.2f} bits an example net ({each / self.values:.5f} a value); minus the bound "
            f"at the same latents: {ideal:,.2f}"
        )


def compress(
    workdir: str | Path, source: str, output: str | Path, precision: int = PRECISION,
    streams: int = STREAMS,
) -> Written:  # fmt: skip
    """Writes examples as a file that `decompress` gives back to the last bit.

    Args:
      source: a file or folder like the run's data; or train, validation or test. Data that are
        binarised are written as zeros and ones.
      precision: bits of a latent; more cost time, fewer cost length.
      streams: stacks that examples are dealt out to, which the networks see at a time. Each begins
        with random bits of its own.

    Raises:
      UserError: no run, or one that cannot code (see `bits_back.check`); examples that do not fit;
        nothing is written.
    """
    if not 1 <= precision <= FINEST:
        raise UserError(f"--precision={precision}: give a number from 1 to {FINEST}")
    if streams < 1:
        raise UserError(f"--streams={streams}: give 1 or more")
    run = load(workdir)
    _, x, _ = inputs.given(source, run)
    x = run.check(np.asarray(x[:]))
    found = coder(run, precision, streams, highest(x))
    x = levels(x, found.top, source)
    coded = found.push(x, SEED)
    header = container.Header(
        len(x), list(run.shape), found.levels, precision, SEED,
        [len(words) for words in coded.words], coded.first_words, digest(run), jax.__version__,
        _device(),
    )  # fmt: skip
    size = container.write(Path(output), header, coded.words)
    return Written(len(x), int(np.prod(run.shape)), size, coded)


def decompress(workdir: str | Path, source: str | Path, output: str | Path) -> int:
    """Writes the examples of a compressed file as whole numbers: an .npz with `x` [N, *shape].

    Returns:
      The number of examples.

    Raises:
      UserError: no run, another run, another version of JAX or kind of device than the file was
        written with, or a damaged file; nothing is written.
    """
    path = Path(output)
    if path.suffix != ".npz":
        raise UserError(f"--output={output}: give a name that ends in .npz")
    header, words = container.read(Path(source))
    run = load(workdir)
    if header.weights != digest(run):
        raise UserError(f"{source} was compressed by another run, or before it was trained on")
    here = jax.__version__, _device()
    if (header.jax, header.device) != here:
        raise UserError(
            f"{source} was written with jax {header.jax} on {header.device}, whose last digits "
            f"this one, jax {here[0]} on {here[1]}, does not share: decompress there"
        )
    x = coder(run, header.precision, len(words), header.levels).pop(
        words, header.num, header.first_words, header.seed
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    npz.write(path, {"x": x.astype(np.uint8 if header.levels <= 256 else np.int32)})
    return header.num


def digest(run: Trained) -> str:
    """SHA-256 of what a run's networks compute from: its model and its weights."""
    found = hashlib.sha256(json.dumps(run.config.model.to_dict(), sort_keys=True).encode())
    for leaf in jax.tree.leaves(run.variables):
        found.update(np.asarray(leaf).tobytes())
    return found.hexdigest()


def coder(run: Trained, precision: int, streams: int, counts: int) -> Coder:
    """What codes examples by a run; counts, if they are counts, below `counts`.

    Raises:
      UserError: its model cannot code, or counts are too many for a table of them.
    """
    if "counts" in run.model.likelihood.kinds and counts > MOST_COUNTS:
        raise UserError(f"compress takes counts below {MOST_COUNTS:,}, and one is {counts - 1:,}")
    return Coder(run.model, run.variables, run.shape, Bins(precision), streams, counts)


def highest(x: np.ndarray) -> int:
    """How many values there are from 0 to the largest of x; missing cells, which no coder takes,
    are none."""
    return int(np.ceil(np.nanmax(x, initial=0.0))) + 1


def levels(x: np.ndarray, top: int, source: str) -> np.ndarray:
    """Examples as the model sees them as whole numbers [N, *shape], 0..top where they are levels.

    Raises:
      UserError: values between two levels.
    """
    found = np.round(x * top)
    if not np.allclose(found, x * top, atol=1e-3):
        raise UserError(f"{source} has values between the {top + 1} levels, which a file has not")
    return found.astype(np.int32)


def _device() -> str:
    return jax.local_devices()[0].device_kind
