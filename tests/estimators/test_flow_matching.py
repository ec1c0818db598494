"""Flow matching: what is exact of a start, and what is learnt of planted latents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from tests.margins import above, below, fixed_rng, mean_is, near, within
from vae.errors import UserError
from vae.estimators import classes, flow_matching, learned_densities, mixture_velocity
from vae.estimators.fitted_densities import normal, scales
from vae.estimators.velocity_density import VelocityDensity

QUICK = {"steps": 800, "width": 64, "blocks": 2, "batch": 256, "components": 6}


def two_moons(num, seed=0):
    """Two half circles of radius 1 with noise of 0.1, and which is which."""
    rng = np.random.default_rng(seed)
    lower, angle = rng.random(num) < 0.5, np.pi * rng.random(num)
    x = np.where(lower, 1.0 - np.cos(angle), np.cos(angle))
    y = np.where(lower, 0.5 - np.sin(angle), np.sin(angle))
    z = np.stack([x, y], 1) + 0.1 * rng.standard_normal((num, 2))
    return z.astype(np.float32), lower.astype(int)


def nearest_moon(z):
    """Which half circle is nearest, and how far it is."""
    at = np.linspace(0.0, np.pi, 200)
    upper = np.stack([np.cos(at), np.sin(at)], 1)
    lower = np.stack([1.0 - np.cos(at), 0.5 - np.sin(at)], 1)
    far = [np.sqrt(np.square(z[:, None] - arc).sum(-1)).min(1) for arc in (upper, lower)]
    return np.argmin(far, 0), np.min(far, 0)


MEANS = fixed_rng(3).standard_normal((10, 16))
MEANS *= 10.0 / np.linalg.norm(MEANS, axis=1, keepdims=True)  # many of their deviations apart


def ten_gaussians(num, seed=0):
    """Ten components of standard deviation 0.5 in 16 dimensions, and which is which."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, 10, num)
    return (MEANS[which] + 0.5 * rng.standard_normal((num, 16))).astype(np.float32), which


def nearest_gaussian(z):
    """Which mean is nearest, and how far it is in standard deviations."""
    far = np.sqrt(np.square(z[:, None] - MEANS).sum(-1)) / 0.5
    return far.argmin(1), far.min(1)


@pytest.fixture(scope="module")
def moons():
    z, lower = two_moons(6000)
    labels = np.where(np.arange(6000) % 10 == 0, -1, lower)  # a tenth has none
    return flow_matching.matched(z, labels=labels, **QUICK)


def start_of(z, heun_steps=100, base=None, **network):
    """A density as it is before it is fitted."""
    described = {"size": z.shape[1], "shape": [], "classes": 0, "width": 8, "blocks": 1}
    described |= network
    base = base or mixture_velocity.standard(z.shape[1], described["classes"])
    density = VelocityDensity(described, None, scales(z), base, heun_steps)
    density.params = density.initial(jax.random.key(0))
    return density


@pytest.mark.parametrize("size", (3, 20))
def test_the_start_is_the_gaussian_of_means_and_deviations(size):
    """In 3 dimensions by the exact trace; in 20 by an estimate, exact as the Jacobian is
    diagonal."""
    rng = np.random.default_rng(0)
    mean, std = np.linspace(-2.0, 3.0, size), np.linspace(0.5, 2.0, size)
    z = mean + std * rng.standard_normal((4000, size))
    found = start_of(z).sampler()
    exact = multivariate_normal(z.mean(0), np.diag(z.var(0))).logpdf(z[:500])
    near(found.log_prob(z[:500]), exact, 0.02 * size)
    draws = found.sample(4000, 1)
    within(draws.mean(0), z.mean(0), std / np.sqrt(4000))
    mean_is(np.square(draws - z.mean(0)), z.var(0), 0.01 * z.var(0).max())


def test_a_mixture_is_exact_from_the_start_and_so_are_its_components():
    """Two correlated components of known weights, each a class."""
    covariances = np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.1, -0.05], [-0.05, 0.4]]])
    means, weights = np.array([[-1.0, 0.5], [1.5, -0.5]]), np.array([0.3, 0.7])
    variances, axes = np.linalg.eigh(covariances)
    of_class = np.log(np.array([[1.0, 1e-30], [1e-30, 1.0], weights]))
    arrays = (a.astype(np.float32) for a in (of_class, means, variances, axes))
    z = np.array([[-1.0, -1.0], [1.0, 1.0]])  # of means 0 and deviations 1: z is u
    density = start_of(z, base=mixture_velocity.Base(*arrays), classes=2)
    found, rng = density.sampler(), np.random.default_rng(0)
    u = rng.multivariate_normal(means[1], covariances[1], 200)
    each = [multivariate_normal(m, c).logpdf(u) for m, c in zip(means, covariances, strict=True)]
    near(found.log_prob(u, labels=np.ones(200, int)), each[1], 0.05)
    near(found.log_prob(u), np.logaddexp(*(np.log(weights)[:, None] + each)), 0.05)
    draws = found.sample(4000, 1, labels=np.zeros(4000, int)) - means[0]
    mean_is(draws, 0.0, 0.01)
    mean_is(draws[:, :, None] * draws[:, None], covariances[0], 0.01)
    left = np.array([np.square(found.sample(4000, 1) - m).sum(-1) for m in means]).argmin(0) == 0
    near(left.mean(), 0.3, 0.08)


def test_too_few_draws_of_a_class_get_the_mixture_of_all():
    rng = np.random.default_rng(0)
    u, label = rng.standard_normal((500, 3)).astype(np.float32), np.arange(500) // 495
    base = mixture_velocity.fit(u, label, 2, 4, 0)
    np.testing.assert_allclose(base.log_weights[0], base.log_weights[2], atol=1e-6)
    assert mixture_velocity.fit(u[:10], label[:10], 2, 4, 0).means.shape == (1, 3)
    base = mixture_velocity.fit(u, np.arange(500) % 2, 2, 4, 0)
    of_class = np.exp(base.log_weights)
    np.testing.assert_allclose(of_class.sum(1), 1.0, atol=1e-5)
    np.testing.assert_allclose(of_class[:2].mean(0), of_class[2], atol=1e-5)
    assert (of_class[0] * of_class[1] < 1e-20).all()


@pytest.mark.slow
def test_a_map_is_seen_as_a_vector_by_a_small_u_net():
    """At its start it too is the Gaussian; a velocity of another shape is not one."""
    z = np.random.default_rng(0).standard_normal((300, 5 * 6 * 2))
    density = start_of(z, 20, shape=[5, 6, 2], blocks=1, width=8, classes=2)
    found, plain = density.sampler(), start_of(z, 20).sampler()
    drawn = found.sample(4, 1)
    np.testing.assert_allclose(drawn, plain.sample(4, 1), atol=1e-5)
    np.testing.assert_allclose(found.log_prob(drawn), plain.log_prob(drawn), atol=1e-3)
    x, t = jnp.asarray(z[:4], jnp.float32), jnp.full(4, 0.5)
    moved = jax.tree.map(lambda p: p + 0.1, density.params)
    one, other = (density.velocity(moved, x, t, jnp.full(4, label)) for label in (0, 2))
    assert one.shape == x.shape and not np.allclose(one, other)
    with pytest.raises(UserError, match="60 latents, and z has 61"):
        flow_matching.matched(np.zeros((20, 61)) + z[:20, :1], shape=(5, 6, 2))


def test_guidance_of_0_and_1_are_no_class_and_the_class(moons):
    found, labels = moons.sampler(), np.arange(50) % 2
    plain, classed = found.sample(50, 3), found.sample(50, 3, labels=labels)
    assert np.abs(plain - classed).max() > 0.1
    none = found.sample(50, 3, labels=labels, guidance=0.0)
    np.testing.assert_allclose(none, plain, atol=1e-5)
    x, t = jnp.asarray(plain, jnp.float32), jnp.full(50, 0.4)

    def velocity(label):
        return moons.velocity(moons.params, x, t, label)

    as_it_is = classes.guided({"guidance": 1.0}, jnp.asarray(labels), 2, velocity)
    direct = velocity(jnp.asarray(labels))
    np.testing.assert_allclose(as_it_is, direct, atol=1e-5)
    nearly = found.sample(50, 3, labels=labels, guidance=1.0 + 1e-6)
    np.testing.assert_allclose(nearly, classed, atol=2e-3)


def test_both_moons_get_their_share_and_little_is_between(moons):
    which, far = nearest_moon(moons.sampler().sample(4000, 1))
    inside = far < 0.45
    above(inside.mean(), 0.97)
    for number in (0, 1):
        near((inside & (which == number)).mean(), 0.5, 0.1)  # a fifth of its share


def test_draws_of_a_class_are_of_its_moon(moons):
    labels = np.arange(2000) % 2
    for guidance in (1.0, 2.0):
        drawn = moons.sampler().sample(2000, 1, labels=labels, guidance=guidance)
        above((nearest_moon(drawn)[0] == labels).mean(), 0.96)


def test_the_density_integrates_to_one_with_and_without_a_class(moons):
    side = np.linspace(-2.5, 3.5, 61)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2).astype(np.float32)
    for labels in (None, np.ones(len(grid), int)):
        log_prob = moons.sampler().log_prob(grid, labels=labels)
        near(np.exp(log_prob).sum() * (side[1] - side[0]) ** 2, 1.0, 0.01)


def test_held_out_moons_are_likelier_than_under_one_gaussian(moons):
    z, _ = two_moons(1000, seed=1)
    whole = moons.sampler().log_prob(z).mean()
    above(whole - multivariate_normal(z.mean(0), np.cov(z.T)).logpdf(z).mean(), 0.5)


def test_a_seed_gives_one_fit_and_what_is_saved_gives_its_draws(moons, tmp_path):
    z, labels = two_moons(300)
    short = {"steps": 40, "width": 16, "blocks": 1, "labels": labels}
    one, same, other = (
        flow_matching.fit_flow_matching(z, seed, **short).sample(20, 1) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    moons.save(tmp_path)
    arrays = {path.name.removesuffix(".npy"): np.load(path) for path in tmp_path.glob("*.npy")}
    again, drawn = VelocityDensity.of_arrays(arrays).sampler(), moons.sampler().sample(30, 2)
    np.testing.assert_array_equal(again.sample(30, 2), drawn)
    np.testing.assert_array_equal(again.log_prob(drawn), moons.sampler().log_prob(drawn))
    np.testing.assert_allclose(again.sample(10, 2, first=20), drawn[20:], atol=1e-5)


def test_fresh_draws_take_the_place_of_those_before():
    """What is fitted ends at the fresh draws, although all that it starts from are others."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((200, 3, 1))
    asked = []

    def loss(params, z, keys):
        return jnp.square(params - z.mean((-1, -2)))

    def fresh(number):
        asked.append(number)
        return np.full((200, 3, 1), 5.0) if number == 1 else None

    held = np.concatenate([z[:-20], np.full((20, 3, 1), 5.0)])
    found = learned_densities.minimised(
        loss, jnp.float32(0.0), held, 0, 400, 50, 0.1, 0.9, fresh
    )
    near(found, 5.0, 0.1)
    assert asked[:3] == [1, 2, 3]


def test_labels_that_are_not_there_are_refused(moons):
    found = moons.sampler()
    for labels in (np.array([0, 2]), np.array([-1, 0]), np.array([0]), np.array([0.0, 1.0])):
        with pytest.raises(UserError, match="labels"):
            found.sample(2, labels=labels)
    with pytest.raises(UserError, match="guidance"):
        found.sample(2, labels=np.array([0, 1]), guidance=np.inf)
    with pytest.raises(UserError, match="knows no classes"):
        normal(2).draws(2, 0, 0, np.array([0, 1]), 1.0)


@pytest.mark.slow
def test_ten_gaussians_get_their_shares_and_classes_theirs():
    z, which = ten_gaussians(10_000)
    found = flow_matching.fit_flow_matching(z, labels=which, steps=3000, width=256, blocks=2)
    drawn, far = nearest_gaussian(found.sample(5000, 1))
    inside = far < 7.0  # of one component's draws all but 1 in 10^4
    for number in range(10):
        near((inside & (drawn == number)).mean(), 0.1, 0.02)
    above(inside.mean(), 0.93)
    labels = np.arange(1000) % 10
    drawn, far = nearest_gaussian(found.sample(1000, 1, labels=labels))
    above(((drawn == labels) & (far < 7.0)).mean(), 0.95)


@pytest.mark.slow
def test_two_gaussians_of_maps_get_their_shares_by_the_u_net():
    """From one Gaussian: what tells them apart is learnt by the network alone."""
    mean = np.ones((4, 4, 2))
    mean[2:, :, 0] = mean[:, 2:, 1] = -1.0

    def of_both(num, seed):
        rng = np.random.default_rng(seed)
        sign = np.where(rng.random(num) < 0.3, 1.0, -1.0)[:, None]
        return (sign * mean.ravel() + 0.5 * rng.standard_normal((num, 32))).astype(np.float32)

    found = flow_matching.fit_flow_matching(
        of_both(4000, 0), shape=mean.shape, components=1, steps=400, width=8, batch=64, rate=2e-3,
        average=0.95, heun_steps=20,
    )  # fmt: skip
    along = found.sample(2000, 1) @ mean.ravel() / mean.size
    near((along > 0).mean(), 0.3, 0.06)  # a fifth of its share
    below((np.abs(along) < 0.6).mean(), 0.2)  # of the Gaussian 0.45
