"""What every test shares: four simulated devices, key-reuse checks and a compile cache."""

import itertools
import operator
import os
import pathlib
import signal
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Before JAX and matplotlib are imported; the verbs that tests start inherit these. The same tests
# run on the CPU everywhere, unless JAX_PLATFORMS asks for another platform.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("MPLBACKEND", "Agg")

# A shell's background jobs ignore Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import jax  # noqa: E402
import pytest  # noqa: E402

from tests import combinations, margins  # noqa: E402

# Here and not in the environment: a verb started by a test sees one device unless it asks for more.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_debug_key_reuse", True)

# Probability first: where it is wrong, the rest fails for the same reason.
ORDER = ("probability", "objectives", "networks", "data", "training", "evaluation", "reports")

# The default tests compile thousands of programs and run each for a moment: XLA's own settings for
# that, which the verbs that tests start inherit. The slow tests are compiled as a user's programs.
QUICK = ["--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"]
if jax.__version_info__ < (0, 11):  # later ones have no others, and stop at a flag they do not know
    QUICK.append("--xla_cpu_use_fusion_emitters=false")

# Slow tests here compile many functions too, and run each once.
QUICKLY_COMPILED = ("models", "networks", "objectives", "probability")

MANY_MAPPINGS = 20_000


def pytest_configure(config):
    # No conftest computes anything with JAX as it is imported: XLA reads its flags but once.
    asked = os.environ.get("XLA_FLAGS", "").split()  # an xdist worker has its parent's
    if config.option.markexpr == "not slow":
        os.environ["XLA_FLAGS"] = " ".join(asked + [flag for flag in QUICK if flag not in asked])
    margins.shift_seeds(int(os.environ.get("VAE_TEST_SEED", "0")))


@pytest.fixture(autouse=True)
def quick_compilation(request):
    before = jax.config.read("jax_disable_most_optimizations")
    room = request.path.relative_to(ROOT / "tests").parts[0]
    jax.config.update("jax_disable_most_optimizations", before or room in QUICKLY_COMPILED)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def mappings():
    """How many memory mappings this process has; 0 where the system does not say."""
    try:
        with open("/proc/self/maps") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0


@pytest.fixture(autouse=True)
def room_for_programs(request):
    """Drops the programs of a long test after it.

    A process may have 65,530 memory mappings on Linux and a compiled program takes several: with
    those of a hundred models, the next compilation crashes.
    """
    yield
    if request.node.get_closest_marker("slow"):
        jax.clear_caches()


@pytest.fixture(autouse=True, scope="module")
def room_for_files():
    """Drops all programs after a file's tests, once they are many: the next file shares some."""
    yield
    if mappings() > MANY_MAPPINGS:
        jax.clear_caches()


def pytest_addoption(parser):
    parser.addoption("--combinations", metavar="FILE", help="write what was run with what to FILE")
    parser.addoption(
        "--part", metavar="K/N", default="0/1",
        help="the tests of one part of N, 0 to N - 1, by a checksum of their names",
    )  # fmt: skip


def pytest_terminal_summary(terminalreporter, config):
    """Tests record "combination" properties; those that passed make the table of docs/."""
    path = config.getoption("--combinations")
    if path:
        passed = terminalreporter.getreports("passed")
        found = [value for report in passed for key, value in report.user_properties]
        combinations.write(pathlib.Path(path), found)


def pytest_collection_modifyitems(config, items):
    part, parts = map(int, config.getoption("--part").split("/"))
    dealt = [zlib.crc32(item.nodeid.encode()) % parts == part for item in items]
    config.hook.pytest_deselected(items=list(itertools.compress(items, map(operator.not_, dealt))))
    items[:] = itertools.compress(items, dealt)

    def place(item):
        room = item.path.relative_to(ROOT / "tests").parts[0]
        slow = item.get_closest_marker("slow") is not None
        return slow, ORDER.index(room) if room in ORDER else len(ORDER)

    items.sort(key=place)  # stable: the order within a file stays
