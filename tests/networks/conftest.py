import jax
import pytest


@pytest.fixture(autouse=True)
def quick_compilation():
    """The tests here compile many small functions and run each once."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
