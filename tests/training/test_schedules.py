import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vae.training import optimizers, schedules


def at(step, beta="constant", rate="constant", **values):
    defaults = dict(
        beta=4.0, beta_epochs=0.0, capacity=25.0, capacity_epochs=0.0, learning_rate=1e-3,
        warmup_epochs=0.0, adversarial=0.0, critic_start=0.0,
    )
    hyper = {k: jnp.float32(v) for k, v in {**defaults, **values}.items()}
    now = schedules.at_step(hyper, jnp.int32(step), 10, 100, beta, rate)
    return {k: float(v) for k, v in now.items()}


def test_constant_is_constant():
    assert at(0)["beta"] == at(777)["beta"] == 4.0
    assert at(0)["capacity"] == 25.0


def test_linear_warm_up_reaches_its_target_and_stays():
    betas = [at(step, beta="linear", beta_epochs=5.0)["beta"] for step in (0, 25, 50, 51, 900)]
    np.testing.assert_allclose(betas, [0.0, 2.0, 4.0, 4.0, 4.0], rtol=1e-6)


def test_cyclical_ramps_for_half_a_cycle_and_restarts():
    steps = (0, 50, 100, 150, 200, 250)
    betas = [at(step, beta="cyclical", beta_epochs=20.0)["beta"] for step in steps]
    np.testing.assert_allclose(betas, [0.0, 2.0, 4.0, 4.0, 0.0, 2.0], atol=1e-5)


def test_capacity_ramps_in_nats():
    values = [at(step, capacity_epochs=10.0)["capacity"] for step in (0, 50, 100, 500)]
    np.testing.assert_allclose(values, [0.0, 12.5, 25.0, 25.0], rtol=1e-6)


def test_cosine_ends_at_zero():
    rates = [at(step, rate="cosine")["learning_rate"] for step in (0, 500, 1000)]
    np.testing.assert_allclose(rates, [1e-3, 5e-4, 0.0], atol=1e-9)


def test_warm_up_never_gives_a_rate_of_zero():
    rates = [at(step, warmup_epochs=1.0)["learning_rate"] for step in (0, 4, 9, 10)]
    np.testing.assert_allclose(rates, [1e-4, 5e-4, 1e-3, 1e-3], rtol=1e-5)


def test_iwae_schedule_has_the_papers_stages():
    """3^i epochs at 10^(-i/7), i = 0..7: 3,280 epochs in all (Burda et al. 2015, section 5)."""
    epoch, expected = 0, []
    for stage in range(8):
        expected += [10 ** (-stage / 7)] * 3**stage
        epoch += 3**stage
    assert epoch == 3280
    got = schedules.iwae(jnp.arange(3280) / 3280)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["adam", "adamax", "adamw", "lion", "rmsprop", "sgd"])
def test_optimizers_are_optaxs(name):
    """With the learning rate and decay applied outside, the updates are those of optax's own."""
    hyper = {k: jnp.float32(v) for k, v in dict(b1=0.9, b2=0.99, eps=1e-6).items()}
    decay = 0.1 if name in ("adamw", "lion") else 0.0
    reference = {
        "adam": lambda: optax.adam(0.05, 0.9, 0.99, 1e-6),
        "adamax": lambda: optax.adamax(0.05, 0.9, 0.99, 1e-6),
        "adamw": lambda: optax.adamw(0.05, 0.9, 0.99, 1e-6, weight_decay=decay),
        "lion": lambda: optax.lion(0.05, 0.9, 0.99, weight_decay=decay),
        "rmsprop": lambda: optax.rmsprop(0.05, decay=0.99, eps=1e-6),
        "sgd": lambda: optax.sgd(0.05, momentum=0.9),
    }[name]()
    mine = theirs = {"kernel": jnp.array([[1.0, -2.0], [0.5, 3.0]])}
    optimizer = getattr(optimizers, name)(hyper)
    my_state, their_state = optimizer.init(mine), reference.init(theirs)
    for number in range(4):
        gradient = {"kernel": jnp.array([[0.3, 1.0], [-0.2, 0.1]]) * (number - 1.5)}
        direction, my_state = optimizer.update(gradient, my_state, mine)
        mine = optimizers.descend(mine, direction, jnp.float32(0.05), jnp.float32(decay))
        updates, their_state = reference.update(gradient, their_state, theirs)
        theirs = optax.apply_updates(theirs, updates)
    np.testing.assert_allclose(mine["kernel"], theirs["kernel"], rtol=1e-5)


def test_decay_spares_biases():
    params = {"bias": jnp.ones(3), "kernel": jnp.ones((3, 3))}
    nothing = {"bias": jnp.zeros(3), "kernel": jnp.zeros((3, 3))}
    after = optimizers.descend(params, nothing, jnp.float32(0.1), jnp.float32(0.5))
    np.testing.assert_allclose(after["bias"], 1.0)
    np.testing.assert_allclose(after["kernel"], 0.95)


def test_clipping_bounds_the_norm_and_zero_is_none():
    gradient = {"a": jnp.array([3.0, 4.0])}
    for bound, expected in ((1.0, [0.6, 0.8]), (0.0, [3.0, 4.0]), (10.0, [3.0, 4.0])):
        clipped = optimizers.clip(gradient, jnp.float32(5.0), jnp.float32(bound))
        np.testing.assert_allclose(clipped["a"], expected, rtol=1e-6)
