"""What every test shares: four simulated devices, key-reuse checks, a compile cache, the verbs."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Before JAX and matplotlib are imported; the verbs that tests start inherit these. The same tests
# run on the CPU everywhere, unless JAX_PLATFORMS asks for another platform.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("MPLBACKEND", "Agg")

import jax  # noqa: E402

# Here and not in the environment: a verb started by a test sees one device unless it asks for more.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_debug_key_reuse", True)

# Probability first: where it is wrong, the rest fails for the same reason.
ORDER = ("probability", "objectives", "networks", "data", "training", "evaluation", "reports")


def pytest_collection_modifyitems(items):
    def place(item):
        room = item.path.relative_to(ROOT / "tests").parts[0]
        slow = item.get_closest_marker("slow") is not None
        return slow, ORDER.index(room) if room in ORDER else len(ORDER)

    items.sort(key=place)  # stable: the order within a file stays


@pytest.fixture
def run_vae():
    """`run_vae("train", "--config", path, cwd=..., timeout=...)`: a verb in its own process."""

    def run(*args, cwd=ROOT, timeout=120, env=None):
        path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
        return subprocess.run(
            [sys.executable, "-P", "-m", "vae", *map(str, args)],
            cwd=cwd,
            timeout=timeout,
            env={**os.environ, "PYTHONPATH": path, **(env or {})},
            capture_output=True,
            text=True,
        )

    return run
