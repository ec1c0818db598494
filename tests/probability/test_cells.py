"""The conventions of single-cell counts: scVI's mean, library and dispersions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from tests.helpers import small_config
from tests.margins import mean_is
from tests.probability.shared import draws, example, mean
from vae import models
from vae.errors import UserError
from vae.probability import noise

NAMES = ("negative_binomial", "zero_inflated_negative_binomial")
RNG = np.random.default_rng(0)
GENES, CELLS = 7, 5
X = RNG.negative_binomial(2, 0.1, (CELLS, GENES)).astype(np.float32)
X[0, :4] = 0.0
LOGITS = RNG.normal(size=(3, CELLS, GENES)) * 2
GATES = RNG.normal(size=(3, CELLS, GENES))
LOG_R = RNG.normal(size=GENES) * 2


def likelihood_of(name, **settings):
    return example(name, **{"genes": GENES, "classes": 2, "dispersion": "gene"} | settings)


def theta_of(name, log_r=LOG_R):
    """The outputs of a decoder [3, CELLS, GENES, channels], and the learned numbers behind them."""
    outputs = [LOGITS] + [GATES] * (name != NAMES[0])
    theta = jnp.asarray(np.stack(outputs, -1), jnp.float32)
    return likelihood_of(name).joined(theta, jnp.asarray(log_r, jnp.float32))


def of_model(context=None, **settings):
    """A bound model of counts with random weights."""
    config = small_config(model__hidden=(4,), model__latent_size=3,
                          model__likelihood=NAMES[0], **settings).model  # fmt: skip
    size = 0 if context is None else context.shape[1]
    model = models.from_config(config, (GENES,), context_size=size, libraries=(5.0, 0.5))
    params = models.initialise(model, (GENES,))
    leaves, tree = jax.tree.flatten(params)
    params = tree.unflatten([RNG.normal(size=leaf.shape).astype(np.float32) for leaf in leaves])
    return model, params, model.bind(models.variables(model, params, None, context))


@pytest.mark.parametrize("name", NAMES)
def test_a_density_of_an_observed_library_is_scipys(name):
    """Mean the sum of x times the softmax, inverse dispersion exp(log r): on the same weights."""
    got = likelihood_of(name, library="observed").log_prob(theta_of(name), X[..., None])
    m, r = X.sum(1)[:, None] * special.softmax(LOGITS, -1), np.exp(LOG_R)
    expected = stats.nbinom(r, r / (r + m)).logpmf(X)
    if name != NAMES[0]:
        gate = special.expit(GATES)
        none = np.log(gate + (1 - gate) * np.exp(expected))
        expected = np.where(X > 0, np.log1p(-gate) + expected, none)
    np.testing.assert_allclose(got, expected.sum(-1), rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_density_of_an_observed_library_is_scvis(name):
    distributions = pytest.importorskip("scvi.distributions")
    torch = pytest.importorskip("torch")
    got = likelihood_of(name, library="observed").log_prob(theta_of(name), X[..., None])
    given = {"mu": X.sum(1)[:, None] * special.softmax(LOGITS, -1), "theta": np.exp(LOG_R)}
    given |= {"zi_logits": GATES} if name != NAMES[0] else {}
    chosen = {NAMES[0]: "NegativeBinomial", NAMES[1]: "ZeroInflatedNegativeBinomial"}[name]
    tensors = {key: torch.tensor(values) for key, values in given.items()}
    expected = getattr(distributions, chosen)(**tensors).log_prob(torch.tensor(X)).sum(-1)
    np.testing.assert_allclose(got, expected, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_cell_is_of_the_typical_library(name):
    """Means and draws; shares are without the gate and sum to one."""
    likelihood = likelihood_of(name, library="observed", libraries=(5.0, 0.5))
    theta = theta_of(name)[0, 0]
    gate = special.expit(-GATES[0, 0]) if name != NAMES[0] else 1.0
    shares = special.softmax(LOGITS[0, 0])
    expected = np.exp(5.0) * shares * gate
    np.testing.assert_allclose(mean(likelihood, theta)[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(likelihood.shares_of(theta)[:, 0], shares, rtol=1e-5)
    drawn = draws(likelihood_of(name, library="observed", libraries=(5.0, 0.5)),
                  theta.at[:, -1].set(2.0), 4000)  # fmt: skip
    mean_is(drawn[..., 0], expected, 1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("library", ["", "observed", "latent"])
@pytest.mark.parametrize("dispersion", ["cell", "gene"])
def test_gradients_are_finite_at_extreme_outputs(name, library, dispersion):
    likelihood = likelihood_of(name, library=library, dispersion=dispersion)
    x = jnp.asarray(np.stack([np.zeros(GENES), X[1], np.full(GENES, 1e5)]), jnp.float32)[..., None]
    for far in (-200.0, 200.0):
        theta = np.zeros((3, GENES, likelihood.channels(1)), np.float32)
        theta[:, 0], theta[:, 1, -1] = far, -far

        def total(theta, z, log_r):
            theta = likelihood.joined(theta, log_r)  # noqa: B023
            if likelihood.own_latents:  # noqa: B023
                theta = likelihood.with_latents(theta, z)  # noqa: B023
            return likelihood.log_prob(theta, x).sum()  # noqa: B023

        given = jnp.asarray(theta), jnp.full((3, 1), far), jnp.full(GENES, far)
        value, slopes = jax.value_and_grad(total, (0, 1, 2))(*given)
        assert np.isfinite(value) and all(np.isfinite(slope).all() for slope in slopes)


def test_an_empty_cell_has_probability_one_given_that_it_is_empty():
    likelihood = likelihood_of(NAMES[0], library="observed")
    got = likelihood.log_prob(theta_of(NAMES[0]), np.zeros((CELLS, GENES, 1), np.float32))
    np.testing.assert_array_equal(got, 0.0)


def test_output_bias_starts_the_shares_at_the_datas():
    counts = np.array([0.5, 3.0, 100.0, 7.0, 1.0, 2.0, 20.0])[:, None]
    for name in NAMES:
        likelihood = likelihood_of(name, library="observed", libraries=(np.log(10.0), 1.0))
        theta = likelihood.joined(jnp.asarray(likelihood.output_bias(counts)), jnp.zeros(GENES))
        np.testing.assert_allclose(likelihood.shares_of(theta), counts / counts.sum(), rtol=1e-5)


def test_the_first_latent_is_the_log_library_and_nothing_else():
    """Means are exp(m + s z) times shares that do not depend on it, so libraries of the prior are
    log-normal."""
    _, _, model = of_model(model__library="latent", model__dispersion="gene")
    z = jnp.asarray(RNG.normal(size=(6, 3)), jnp.float32)
    means = np.asarray(model.mean(z))[..., 0]
    np.testing.assert_allclose(means.sum(-1), np.exp(5.0 + 0.5 * z[:, 0]), rtol=1e-4)
    moved = np.asarray(model.mean(z.at[:, 0].add(2.0)))[..., 0]
    np.testing.assert_allclose(moved, means * np.exp(1.0), rtol=1e-4)
    other = np.asarray(model.mean(z.at[:, 1].add(2.0)))[..., 0]
    assert (np.abs(other / means - 1.0).max(1) > 0.01).all()


def test_a_density_of_a_latent_library_is_that_of_the_library_it_stands_for():
    """At z with exp(m + s z) = sum(x) it is the density of the observed one."""
    settings = {"libraries": (5.0, 0.5), "genes": GENES}
    latent, observed = (likelihood_of(NAMES[0], library=library, **settings)
                        for library in ("latent", "observed"))  # fmt: skip
    z = (np.log(X.sum(1)) - 5.0) / 0.5
    theta = latent.with_latents(theta_of(NAMES[0])[0], jnp.asarray(z[:, None], jnp.float32))
    got = latent.log_prob(theta, X[..., None])
    np.testing.assert_allclose(
        got, observed.log_prob(theta_of(NAMES[0])[0], X[..., None]), rtol=1e-5
    )


def test_a_masked_model_is_the_smaller_one():
    """A population over latent sizes keeps the library's."""
    small, params, _ = of_model(model__library="latent")
    config = small_config(model__hidden=(4,), model__latent_size=5, model__library="latent",
                          model__likelihood=NAMES[0]).model  # fmt: skip
    large = models.from_config(config, (GENES,), libraries=(5.0, 0.5))
    shapes = jax.eval_shape(lambda: models.initialise(large, (GENES,)))
    masked = large.bind(models.variables(large, models.fit(params, shapes), 3))
    keys = noise.example_keys(jax.random.key(0), np.arange(CELLS))
    bound = small.bind(models.variables(small, params))
    expected, got = (m.joint(m.encode(X), X, keys) for m in (bound, masked))
    np.testing.assert_allclose(got.log_likelihood, expected.log_likelihood, rtol=1e-4)
    np.testing.assert_allclose(got.kl.sum(-1), expected.kl.sum(-1), rtol=1e-5)


def test_each_class_has_dispersions_of_its_own():
    """Those of a cell's own class decide its density, and no others."""
    context = np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 1]]
    _, params, model = of_model(
        context, model__library="observed", model__dispersion="gene_batch"
    )
    z = jnp.asarray(RNG.normal(size=(CELLS, 3)), jnp.float32)
    own = np.asarray(params["likelihood"]).reshape(2, GENES)
    np.testing.assert_allclose(model.decode(z)[..., -1], own[context.argmax(1)], rtol=1e-6)
    many = model.decode(jnp.stack([z, z + 1]))
    assert many.shape == (2, CELLS, GENES, 2)
    np.testing.assert_allclose(many[1, ..., -1], own[context.argmax(1)], rtol=1e-6)


@pytest.mark.parametrize("settings, message", [
    ({"model__likelihood": "bernoulli", "model__library": "observed"}, "model.library=''"),
    ({"model__likelihood": NAMES[0], "model__dispersion": "gene_batch"}, "set data.context"),
    ({"model__likelihood": NAMES[0], "model__library": "latent", "model__name": "ladder"},
     "model.library=observed"),
    ({"model__likelihood": NAMES[0], "model__library": "latent", "model__latent_size": 1},
     "model.latent_size"),
])  # fmt: skip
def test_what_has_no_place_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        models.from_config(small_config(**settings).model, (GENES,))


def test_a_sum_that_is_not_known_gives_no_code():
    theta = theta_of(NAMES[0])
    with pytest.raises(UserError, match="model.library=latent"):
        likelihood_of(NAMES[0], library="observed").log_table(theta, X, 0)
