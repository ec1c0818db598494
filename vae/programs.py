"""Compiled programs that outlast their process: traced, lowered and compiled once on a machine.

JAX's cache saves the work of XLA, but not the tracing and lowering before it, nor the imports that
these need. For a small model they are most of a start. So each compiled program is kept whole
beside that cache, under a hash of its lowered code. That hash is kept under a second one, of
everything that decides it: this package's source, versions, devices, JAX's settings, the shapes of
its arguments, and the key that its owner gives. A program that is missing, damaged or of something
else is traced as usual and written anew.

Programs are kept where JAX keeps its own, for one device of one process, and only while JAX does
not check what it runs (`jax_debug_nans` and its like). Otherwise a `Kept` is the jitted function
itself.
"""

import functools
import hashlib
import json
import os
import pickle
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from vae import runs

CHECKS = (
    "jax_debug_nans", "jax_debug_infs", "jax_debug_key_reuse", "jax_disable_jit",
    "jax_enable_checks",
)  # fmt: skip
FLAGS = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")
MOST_BYTES = 256 * 2**20  # that are kept; the least recently used go first

Signature = tuple[Any, ...]


class Kept:
    """A jitted function whose programs are kept.

    Args:
      build: makes the jitted function; called when something has to be traced.
      name: of the function, and of the options that it is compiled with.
      key: what the function depends on beside the package, its arguments' shapes and what else
        `vae.programs` hashes by itself; None to keep nothing.
    """

    def __init__(self, build: Callable[[], Any], name: str, key: str | None):
        self.name, self.key = name, key
        self.jitted = functools.cache(build)
        self._programs: dict[Signature, Any] = {}

    def __call__(self, *args: Any) -> Any:
        """What the function returns, by a kept program where there can be one."""
        program = None if self.key is None else self._program(args)
        return (program or self.jitted())(*args)

    def shapes(self, *args: Any) -> Any:
        """Shapes and types of what it returns."""
        program = None if self.key is None else self._program(args)
        return program.out_info if program else jax.eval_shape(self.jitted(), *args)

    def _program(self, args: tuple[Any, ...]) -> Any:
        """The compiled program for such arguments; None where none can be kept."""
        folder = _folder()
        leaves, tree = jax.tree.flatten(args)
        if folder is None or any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return None
        shapes = tuple((x.shape, str(x.dtype), getattr(x, "weak_type", False)) for x in leaves)
        signature = (tree, shapes, _settings())
        if signature not in self._programs:
            of = (self.name, str(tree), *signature[1:], _machine())
            name = _digest(of, self.key, runs.source())
            program = _known(folder, name) or self._compile(folder, name, of, args)
            self._programs[signature] = program
        return self._programs[signature]

    def _compile(
        self, folder: Path, name: str, of: tuple[Any, ...], args: tuple[Any, ...]
    ) -> Any:
        """Traces and lowers; compiles only if the same code was not compiled before, even from
        another source."""
        lowered = self.jitted().lower(*args)
        # What it lowers to leaves out arguments that are not used, and how the results are packed.
        content = _digest(of, lowered.as_text(), str(lowered.out_tree))
        data = _get(folder / content)
        program = _loaded(data)
        if data is None:
            with _without_cache():
                program = lowered.compile()
            _put(folder / content, _dumped(program))
        elif program is None:  # not for this backend: JAX's cache has it, or will
            program = lowered.compile()
        _put(folder / name, content.encode())
        return program


def _known(folder: Path, name: str) -> Any:
    """The program that a file of that name names; None where there is none."""
    content = _get(folder / name)
    return None if content is None else _loaded(_get(folder / content.decode()))


@contextmanager
def _without_cache() -> Iterator[None]:
    """Compiles without JAX's own cache: on CPUs a program from that cache cannot be written
    again."""
    from jax.experimental.compilation_cache import compilation_cache

    compilation_cache.reset_cache()
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
        compilation_cache.reset_cache()


def value(name: str, key: str | None, find: Callable[[], Any]) -> Any:
    """What `find` returns, a fact that takes tracing to find; kept as programs are, in JSON."""
    folder = None if key is None else _folder()
    if folder is None:
        return find()
    path = folder / _digest(name, key, _settings(), _machine(), runs.source())
    known = _get(path)
    if known is not None:
        return json.loads(known)
    data = json.dumps(find()).encode()
    _put(path, data)
    return json.loads(data)


def _folder() -> Path | None:
    """Where programs are kept; None where they are not."""
    settings: Any = jax.config  # which has them once JAX is imported
    directory = settings.jax_compilation_cache_dir
    kept = directory and settings.jax_enable_compilation_cache and "://" not in directory
    checked = any(getattr(jax.config, name, False) for name in CHECKS)
    if not kept or checked or jax.device_count() > 1:
        return None
    return Path(directory) / "programs"


def _settings() -> tuple[str, ...]:
    """All of JAX's settings in this thread, as any may change a program."""
    given = jax.config.values
    return tuple(str(getattr(jax.config, name, held)) for name, held in given.items())


@functools.cache
def _machine() -> str:
    """A hash of versions, of the devices and of the processor."""
    device = jax.devices()[0]
    about = (
        *(sys.version, platform.machine(), _processor(), len(os.sched_getaffinity(0))),
        os.sysconf("SC_PHYS_PAGES"),  # models that do not fit are refused before they are traced
        *(device.device_kind, device.client.platform, device.client.platform_version),
        *(os.environ.get(name, "") for name in FLAGS),
    )
    return _digest(sorted(runs.versions().items()), about)


def _processor() -> str:
    """What the processor can do: a program for a newer one does not run on an older."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    wanted = ("model name", "flags", "Features")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(wanted)))


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _loaded(data: bytes | None) -> Any:
    """The program in `data`, which `_dumped` made; None where it cannot be used."""
    if not data:
        return None
    from jax.experimental import serialize_executable

    try:
        made, taken, given = pickle.loads(data)
        return serialize_executable.deserialize_and_load(
            made, taken, given, execution_devices=jax.devices()[:1]
        )
    except Exception:  # unpickling and XLA raise anything; the program is then compiled
        return None


def _dumped(program: Any) -> bytes:
    """A program as bytes; empty where this backend cannot give them."""
    from jax.experimental import serialize_executable

    try:
        return pickle.dumps(serialize_executable.serialize(program))
    except Exception:  # backends raise what they like; nothing is lost but the next start's time
        return b""


def _get(path: Path) -> bytes | None:
    """What was put into a file; None where it is missing or damaged."""
    try:
        data = path.read_bytes()
        os.utime(path)  # when it was last used
    except OSError:
        return None
    checksum, found = data[:32], data[32:]
    return found if hashlib.sha256(found).digest() == checksum else None


def _put(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, and makes room for it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with runs.replacing(path) as temporary:
            temporary.write_bytes(hashlib.sha256(data).digest() + data)
        _make_room(path.parent)
    except OSError:  # a full disk or a folder of another user: programs are not kept
        return


def _make_room(folder: Path) -> None:
    """Deletes what was used least recently, where all is more than MOST_BYTES."""
    found = sorted(((f.stat(), f) for f in folder.iterdir()), key=lambda pair: -pair[0].st_mtime)
    total = 0
    for stat, path in found:
        total += stat.st_size
        if total > MOST_BYTES:
            path.unlink(missing_ok=True)
