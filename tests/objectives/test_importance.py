import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from configs import base
from vae import models, objectives
from vae.objectives.importance import renyi_bound
from vae.probability import noise

SHAPE = (4, 4, 1)
K, M = 4, 3
STATIC = {
    "iwae": {"samples": K},
    "miwae": {"samples": K, "batches": M},
    "ciwae": {"samples": K},
    "piwae": {"samples": K, "batches": M},
    "stl": {"samples": K},
    "dreg": {"samples": K},
    "renyi": {"samples": K},
}
HYPER = {"mix": jnp.float32(0.3), "alpha": jnp.float32(0.4)}


@functools.cache
def build(latent_size=2):
    """A small model with random weights."""
    config = base.get_config().model
    config.hidden, config.latent_size = (8,), latent_size
    model = models.from_config(config, SHAPE)
    params = jax.eval_shape(lambda: models.initialise(model, SHAPE))
    rng = np.random.default_rng(0)
    return model, jax.tree.map(lambda p: jnp.float32(rng.normal(size=p.shape) * 0.5), params)


def keys_for(count, seed=0):
    return noise.example_keys(jax.random.key(seed), jnp.arange(count))


@pytest.fixture(scope="module")
def parts():
    """model, params, x and keys of six examples."""
    x = np.random.default_rng(1).integers(0, 2, (6, *SHAPE)).astype(np.float32)
    return *build(), jnp.asarray(x), keys_for(6)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def compiled(name, static, model, params, x, keys, hyper, latents):
    def loss(params):
        bound = model.bind(models.variables(model, params, latents))
        terms = getattr(objectives, name)(bound, x, keys, hyper, **dict(static))
        return terms["loss"].mean(), terms

    gradient, terms = jax.grad(loss, has_aux=True)(params)
    return terms, gradient


def evaluate(name, model, params, x, keys, hyper=HYPER, latents=None, **static):
    """The objective's terms, and the gradient of its mean loss."""
    static = tuple((STATIC[name] | static).items())
    return compiled(name, static, model, params, x, keys, hyper, latents)


def terms(*args, **options):
    return evaluate(*args, **options)[0]


def gradient(*args, **options):
    return evaluate(*args, **options)[1]


def assert_close(left, right, rtol=1e-5, atol=1e-6):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def inference(params):
    return {name: params[name] for name in params if name in ("encoder", "posterior")}


def generative(params):
    return {name: params[name] for name in params if name not in ("encoder", "posterior")}


def log_weights(model, params, x, keys, samples):
    """log w, written out a second time."""
    bound = model.bind({"params": params})
    q = bound.encode(x)
    z = q.sample(noise.fold(keys, 1), 0, samples)
    log_w = bound.log_likelihood(bound.decode(z), x) + model.prior.log_prob(z) - q.log_prob(z)
    return np.asarray(log_w, np.float64)


def log_mean_exp(log_w, axis=0):
    return logsumexp(log_w, axis=axis) - np.log(log_w.shape[axis])


@pytest.mark.parametrize("name", ["iwae", "stl", "dreg"])
def test_value_is_the_log_mean_exp_of_log_w(parts, name):
    log_w = log_weights(*parts, K)
    got = terms(name, *parts)
    np.testing.assert_allclose(got["loss"], -log_mean_exp(log_w), rtol=1e-5)


@pytest.mark.slow
def test_values_of_several_batches_are_those_of_their_draws(parts):
    log_w = log_weights(*parts, M * K)
    got = terms("piwae", *parts)
    np.testing.assert_allclose(got["loss"], -log_mean_exp(log_w), rtol=1e-5)
    got = terms("miwae", *parts)
    expected = -log_mean_exp(log_w.reshape(M, K, -1), 1).mean(0)
    np.testing.assert_allclose(got["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("name", STATIC)
def test_logged_terms_are_means_over_the_draws_at_beta_1(parts, name):
    samples = K * M if "batches" in STATIC[name] else K
    got = terms(name, *parts, hyper=HYPER | {"beta": jnp.float32(7.0)})
    assert all(term.shape == (6,) for term in got.values())
    np.testing.assert_allclose(got["elbo"], log_weights(*parts, samples).mean(0), rtol=1e-5)
    np.testing.assert_allclose(got["elbo"], -got["distortion"] - got["rate"], rtol=1e-5)


@pytest.mark.parametrize("name", STATIC)
def test_k_1_equals_the_one_sample_elbo_estimate(parts, name):
    one = {"samples": 1} | ({"batches": 1} if "batches" in STATIC[name] else {})
    got = terms(name, *parts, **one)
    np.testing.assert_allclose(got["loss"], -got["elbo"], rtol=1e-6)
    model, params, x, keys = parts
    elbo = objectives.elbo(model.bind({"params": params}), x, keys, {"beta": 1.0})
    np.testing.assert_allclose(got["distortion"], elbo["distortion"], rtol=1e-5)


def test_special_cases_of_miwae_and_ciwae(parts):
    """MIWAE: M = 1 is IWAE, K = 1 the ELBO. CIWAE: mix = 0 is IWAE, 1 the ELBO."""
    elbo = ("miwae", {"batches": K, "samples": 1})
    pairs = [
        (("miwae", {"batches": 1}), ("iwae", {})),
        (elbo, ("renyi", {"hyper": HYPER | {"alpha": jnp.float32(1.0)}})),
        (("ciwae", {"hyper": HYPER | {"mix": jnp.float32(0.0)}}), ("iwae", {})),
        (("ciwae", {"hyper": HYPER | {"mix": jnp.float32(1.0)}}), elbo),
    ]
    for (left, left_options), (right, right_options) in pairs:
        a, b = terms(left, *parts, **left_options), terms(right, *parts, **right_options)
        np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-5)


def test_piwae_is_iwae_for_the_decoder_and_miwae_for_the_encoder(parts):
    partly = gradient("piwae", *parts)
    assert_close(generative(partly), generative(gradient("iwae", *parts, samples=M * K)))
    assert_close(inference(partly), inference(gradient("miwae", *parts)))


@pytest.mark.parametrize("name", ["stl", "dreg"])
def test_the_decoder_gets_the_plain_iwae_gradient(parts, name):
    got, expected = gradient(name, *parts), gradient("iwae", *parts)
    assert_close(generative(got), generative(expected))
    head = jax.tree.leaves(jax.tree.map(np.subtract, got["posterior"], expected["posterior"]))
    assert max(np.abs(leaf).max() for leaf in head) > 1e-2  # and the encoder another one


def test_dreg_is_its_formula(parts):
    """sum_k v_k^2 dlog w_k/dz_k dz_k/dphi, by the posterior's own parameters."""
    model, params, x, keys = parts
    bound = model.bind({"params": params})
    q = bound.encode(x)
    z = q.sample(noise.fold(keys, 1), 0, K)
    log_w = log_weights(model, params, x, keys, K)
    v = np.exp(log_w - logsumexp(log_w, axis=0))

    def total(z):
        bound = model.bind({"params": params})
        log_w = bound.log_likelihood(bound.decode(z), x) + model.prior.log_prob(z) - q.log_prob(z)
        return log_w.sum()

    by_z = -(v**2)[..., None] * jax.grad(total)(z)
    by_mu, by_logvar = by_z.sum(0), (by_z * 0.5 * (z - q.mu)).sum(0)
    expected = np.stack([by_mu, by_logvar], -1).mean(0).ravel()  # the head's bias: by turns
    got = gradient("dreg", *parts)["posterior"]["bias"]
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-5)


class Given:
    """A bound model whose posterior is given."""

    def __init__(self, bound, q):
        self.bound, self.q = bound, q

    def __getattr__(self, name):
        return getattr(self.bound, name)

    def encode(self, x, keys=None):
        return self.q


@functools.partial(jax.jit, static_argnums=(0, 1, 3))
def head_gradients(names, samples, params, model, x, keys):
    """[draws, P] for each objective, on the same draws: the gradient by the output of the encoder's
    head, example by example, P numbers for all of x. There is a row of keys a draw."""
    repeated = jnp.tile(x, (keys.shape[0], *[1] * (x.ndim - 1)))
    bound = model.bind({"params": params})
    q = bound.encode(x)
    q = jax.tree.map(lambda leaf: jnp.tile(leaf, (keys.shape[0], 1)), q)

    def loss(q, name):
        objective = getattr(objectives, name)
        given = Given(bound, q)
        return objective(given, repeated, keys.ravel(), HYPER, samples=samples)["loss"].sum()

    def one(name):
        by_q = jax.grad(loss)(q, name)
        return jnp.concatenate([by_q.mu, by_q.logvar], axis=1).reshape(keys.shape[0], -1)

    return [one(name) for name in names]


def draw_gradients(names, model, params, x, draws, samples):
    keys = keys_for(draws * len(x), 5).reshape(draws, len(x))
    many = head_gradients(names, samples, params, model, x, keys)
    return [np.asarray(values, np.float64) for values in many]


def z_scores(samples):
    """The mean of each column in standard errors."""
    return samples.mean(0) / (samples.std(0, ddof=1) / np.sqrt(len(samples)))


def test_dreg_has_the_mean_gradient_of_iwae(parts):
    """Within 3 standard errors, over 10,000 draws: 24 coordinates, so 3.9 for the largest of them
    (Bonferroni: 24 times the tail beyond 3.9 is less than that beyond 3). The same draws on both
    sides, so that what they share cancels. Sticking the landing, which is biased for k > 1, fails
    the same test."""
    model, params, x, _ = parts
    names = ("iwae", "dreg", "stl")
    plain, doubly, landing = draw_gradients(names, model, params, x, 10_000, K)
    assert plain.shape == (10_000, 24)
    assert np.abs(z_scores(plain)).max() > 20  # there is a gradient to get wrong
    assert np.abs(z_scores(doubly - plain)).max() < 3.9
    assert np.abs(z_scores(landing - plain)).max() > 8


def test_stl_has_the_mean_gradient_of_the_elbo(parts):
    model, params, x, _ = parts
    plain, landing = draw_gradients(("iwae", "stl"), model, params, x, 10_000, 1)
    assert np.abs(z_scores(landing - plain)).max() < 3.9  # 24 coordinates, as above


D, L, SIGMA = 6, 2, 0.5


@functools.cache
def linear(shift=0.0):
    """A linear-Gaussian model whose encoder is the exact posterior, up to a random `shift` of its
    weights; five examples of it, and log p(x) of each in closed form."""
    config = base.get_config().model
    config.hidden, config.latent_size = (), L
    config.likelihood, config.sigma = "gaussian_fixed", SIGMA
    model = models.from_config(config, (D,))
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(D, L)))[0].T
    scales, b = np.array([0.9, 0.5]), rng.normal(size=D)
    w = scales[:, None] * basis  # orthogonal rows: the posterior's covariance is diagonal
    variance = 1 / (1 + (scales / SIGMA) ** 2)
    to_mean = (w.T / SIGMA**2) * variance
    kernel = np.stack([to_mean, np.zeros((D, L))], -1).reshape(D, -1)  # mu and logvar by turns
    bias = np.stack([-b @ to_mean, np.log(variance)], -1).ravel()
    kernel = kernel + shift * rng.normal(size=kernel.shape)
    bias = bias + shift * rng.normal(size=bias.shape)
    params = {
        "decoder": {"Dense_0": {"kernel": w, "bias": b}},
        "posterior": {"kernel": kernel, "bias": bias},
    }
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.float32), params)
    density = multivariate_normal(b, w.T @ w + SIGMA**2 * np.eye(D))
    x = density.rvs(5, random_state=rng)
    return model, params, jnp.asarray(x, jnp.float32), density.logpdf(x)


def test_the_mean_does_not_fall_as_k_grows_and_is_bounded_by_log_p():
    model, params, x, log_p = linear(0.15)
    many = jnp.repeat(x, 1000, axis=0)
    means, errors = [], []
    for samples in (1, 2, 8, 64):
        loss = -terms("iwae", model, params, many, keys_for(5000, samples), samples=samples)["loss"]
        means.append(np.asarray(loss, np.float64).mean())
        errors.append(np.asarray(loss).reshape(5, 1000).std(1).mean() / np.sqrt(5000))
    assert all(low < high for low, high in zip(means, means[1:], strict=False))
    assert means[-1] < log_p.mean() + 3 * errors[-1]
    assert means[-1] > log_p.mean() - 0.1


@pytest.mark.slow
def test_bounds_are_tight_at_the_exact_posterior():
    model, params, x, log_p = linear()
    for name in STATIC:
        got = terms(name, model, params, x, keys_for(5))
        np.testing.assert_allclose(got["loss"], -log_p, atol=1e-4)


def test_stl_has_no_variance_at_the_exact_posterior():
    model, params, x, _ = linear()
    plain, landing = draw_gradients(("iwae", "stl"), model, params, x, 1000, 1)
    assert plain.std(0).min() > 0.05
    assert landing.std(0).max() < 1e-4 and np.abs(landing).max() < 1e-3


@pytest.mark.slow
def test_signal_to_noise_of_the_encoder_falls_with_k_for_iwae_and_not_for_dreg():
    """Rainforth et al. 2018: like 1/sqrt(k) for IWAE, near the exact posterior, where k is large
    enough for it at once. Its own mean is not resolved at k = 64; that of DReG, which is the same
    (above), is."""
    model, params, x, _ = linear(0.05)
    ks = [1, 4, 16, 64]
    ratios = {"iwae": [], "dreg": []}
    for samples in ks:
        plain, doubly = draw_gradients(("iwae", "dreg"), model, params, x, 4000, samples)
        signal = np.linalg.norm(doubly.mean(0))
        for name, values in (("iwae", plain), ("dreg", doubly)):
            ratios[name].append(signal / np.sqrt(values.var(0).sum()))
        assert doubly.var(0).sum() < 0.1 * plain.var(0).sum()
    slopes = {name: np.polyfit(np.log(ks), np.log(r), 1)[0] for name, r in ratios.items()}
    assert abs(slopes["iwae"] + 0.5) < 0.1
    assert slopes["dreg"] > 0


def test_what_the_source_computes_twice_is_compiled_once(parts):
    """DReG takes the products of IWAE. PIWAE weighs the draws in two ways, and so goes back through
    the decoder twice: one product more, as it has one hidden layer."""
    model, params, x, keys = parts

    def products(name):
        static = tuple(STATIC[name].items())
        lowered = compiled.lower(name, static, model, params, x, keys, HYPER, None)
        return lowered.compile().as_text().count(" dot(")

    assert products("dreg") == products("iwae")
    assert products("piwae") == products("iwae") + 1


@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
def test_renyi_bound_is_its_formula_at_every_order(scale):
    """Against float64, at orders near 1 by the expansion to second order in 1 - alpha."""
    log_w = np.random.default_rng(0).normal(size=(7, 5)) * scale - 50.0
    for order in (-3.0, 0.0, 0.5, 0.9, 1.1, 2.0, 30.0):
        power = 1.0 - np.float64(np.float32(order))
        expected = log_mean_exp(power * log_w) / power
        got = renyi_bound(jnp.float32(log_w), jnp.float32(order))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    for order in np.float32([1.0, 1.0 - 6e-8, 1.0 + 1.2e-7, 1.0 - 1e-5, 1.0 + 1e-5]):
        expected = log_w.mean(0) + 0.5 * (1.0 - np.float64(order)) * log_w.var(0)
        got = renyi_bound(jnp.float32(log_w), order)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_renyi_is_iwae_at_0_the_elbo_at_1_and_falls_between(parts):
    def at(alpha, of=terms):
        return of("renyi", *parts, hyper=HYPER | {"alpha": jnp.float32(alpha)})

    np.testing.assert_allclose(at(0.0)["loss"], terms("iwae", *parts)["loss"], rtol=1e-5)
    np.testing.assert_allclose(at(1.0)["loss"], -at(1.0)["elbo"], rtol=1e-6)
    losses = np.stack([at(alpha)["loss"] for alpha in (-2, 0, 0.5, 0.999, 1, 1.001, 2, 5)])
    assert (np.diff(losses, axis=0) > 0).all()
    assert_close(at(0.0, gradient), gradient("iwae", *parts), 1e-4, 1e-5)
    elbo = gradient("miwae", *parts, samples=1, batches=K)
    for alpha in (1.0, 1.0 - 1e-7, 1.0 + 1e-7, 1.0 + 1e-4):
        assert_close(at(alpha, gradient), elbo, 1e-2, 2e-3)


@pytest.mark.parametrize("name", ["piwae", "dreg"])
def test_a_second_pass_for_another_gradient_is_compiled_once(parts, name):
    """The decoder's two matrix products forward, and what their gradients take."""
    model, params, x, keys = parts

    def products(name):
        def loss(params):
            bound = model.bind({"params": params})
            static = STATIC[name]
            return getattr(objectives, name)(bound, x, keys, HYPER, **static)["loss"].mean()

        return jax.jit(loss).lower(params).compile().as_text().count(" dot(")

    assert products(name) == products("iwae")
