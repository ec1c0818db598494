"""The likelihood of tables: each kind of column against SciPy and numerical integration, holes, and
p(x observed) of a linear model in closed form at every pattern of what is missing."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logsumexp

from tests.margins import mean_is
from tests.probability.shared import same_shares
from vae import columns as of_table
from vae.columns import Column
from vae.probability import likelihoods
from vae.probability.elementwise import bounded

NAMES = {"bernoulli": ("no", "yes"), "categorical": ("a", "b", "c", "d"),
         "ordinal": ("low", "middle", "high", "top")}  # fmt: skip
ONE = {
    kind: Column(kind, NAMES.get(kind, ()), 0.7 if kind in of_table.LINKS else 0.0,
                 1.6 if kind in of_table.LINKS else 1.0)
    for kind in of_table.KINDS
}  # fmt: skip


def made(*columns):
    return likelihoods.columns(columns=columns)


def random_theta(likelihood, lead=(), seed=0, spread=0.7):
    """theta [*lead, P + S, 1] near where training starts."""
    theta = jnp.asarray(likelihood.output_bias(np.zeros((1, 1))), jnp.float32)
    start = likelihood.joined(theta, jnp.asarray(likelihood.initial_scalars()))
    noise = np.random.default_rng(seed).normal(size=(*lead, *start.shape))
    return (np.asarray(start) + spread * noise).astype(np.float32)


def log_prob(likelihood, theta, x):
    """Of x [B, D], in float64."""
    theta = np.broadcast_to(theta, (len(x), *theta.shape[-2:]))
    return np.asarray(jax.jit(likelihood.log_prob)(theta, np.float32(x)[..., None]), np.float64)


def own_density(kind, theta, values):
    """log p in SciPy of the column's own values [N], from the raw numbers theta [P + S]."""
    centre, scale = ONE[kind].centre, ONE[kind].scale
    t = np.asarray(theta, np.float64)
    b = np.asarray(bounded(jnp.asarray(t)), np.float64)
    match kind:
        case "gaussian":
            return stats.norm(centre + scale * t[0], scale * np.exp(b[1] / 2)).logpdf(values)
        case "log_normal":
            return stats.lognorm(scale * np.exp(b[1] / 2),
                                 scale=np.exp(centre + scale * b[0])).logpdf(values)  # fmt: skip
        case "student_t":
            return stats.t(1 + np.exp(b[2]), centre + scale * t[0],
                           scale * np.exp(b[1] / 2)).logpdf(values)  # fmt: skip
        case "beta":
            m = expit(np.asarray(bounded(jnp.asarray(centre + scale * t[0]))))
            return stats.beta(m * np.exp(b[1]), (1 - m) * np.exp(b[1])).logpdf(values)
        case "poisson":
            return stats.poisson(np.exp(b[0])).logpmf(values)
        case "negative_binomial":
            r = np.exp(b[1])
            return stats.nbinom(r, r / (r + np.exp(b[0]))).logpmf(values)
        case "zero_inflated_negative_binomial":
            r, gate = np.exp(b[2]), expit(t[1])
            p = stats.nbinom(r, r / (r + np.exp(b[0]))).pmf(values)
            return np.log(np.maximum(np.where(values == 0, gate, 0) + (1 - gate) * p, 1e-300))
        case "bernoulli":
            return stats.bernoulli(expit(t[0])).logpmf(values)
        case "categorical":
            return (t - logsumexp(t))[values.astype(int)]
        case "ordinal":
            cuts = np.cumsum([t[1], *np.exp(b[2:])])
            below = np.concatenate([[0], expit(cuts - t[0]), [1]])
            return np.log(np.diff(below))[values.astype(int)]


GRIDS = {  # of own values, where nearly all of each is
    "gaussian": np.linspace(-60, 60, 40_001), "student_t": np.sinh(np.linspace(-15, 15, 40_001)),
    "log_normal": np.exp(np.linspace(-25, 25, 40_001)),
    "beta": expit(np.linspace(-40, 40, 40_001)),
    "bernoulli": np.arange(2), "categorical": np.arange(4), "ordinal": np.arange(4),
}  # fmt: skip


@pytest.mark.parametrize("kind", of_table.KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_each_kind_is_scipys_and_adds_up_to_one(kind, seed):
    likelihood, values = made(ONE[kind]), GRIDS.get(kind, np.arange(4000)).astype(float)
    theta = random_theta(likelihood, seed=seed)
    x = values if kind in of_table.CODED else of_table.seen(values[:, None], [ONE[kind]])[:, 0]
    got = log_prob(likelihood, theta, x[:, None])
    expected = own_density(kind, theta[:, 0], values)
    likely = expected > -200 if kind != "beta" else (values > 1e-9) & (values < 1 - 1e-6)
    np.testing.assert_allclose(got[likely], expected[likely], rtol=2e-4, atol=2e-4)
    if kind in of_table.LINKS:
        rows = np.isfinite(got)
        if kind == "beta":  # by the share's logit, as nearly all may be next to 0 or 1
            y = np.linspace(-40, 40, 40_001)
            total = np.trapezoid((np.exp(got) * values * (1 - values))[rows], y[rows])
        else:
            total = np.trapezoid(np.exp(got[rows]), values[rows])
        assert total == pytest.approx(1.0, abs=1e-4)
    else:
        assert np.exp(got).sum() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kind", of_table.KINDS)
def test_draws_come_as_often_as_the_density_says(kind):
    likelihood = made(ONE[kind])
    theta = random_theta(likelihood, spread=0.3)
    keys = jax.random.split(jax.random.key(0), 20_000)
    x = np.asarray(jax.jit(jax.vmap(likelihood.sample, (0, None)))(keys, theta))[:, 0, 0]
    own = of_table.own(x[:, None], [ONE[kind]])[:, 0] if kind in of_table.LINKS else x
    expected = np.asarray(likelihood.mean(jnp.asarray(theta)))[0, 0]
    if kind in of_table.LINKS:
        mean = of_table.own(np.array([[expected]]), [ONE[kind]])[0, 0]
        edges = np.quantile(own, np.linspace(0, 1, 9))[1:-1]
        grid = GRIDS[kind]
        density = np.exp(own_density(kind, theta[:, 0], grid))
        steps = 0.5 * (density[1:] + density[:-1]) * np.diff(grid)
        below = np.interp(edges, grid, np.concatenate([[0.0], np.cumsum(np.nan_to_num(steps))]))
        np.testing.assert_allclose(below, np.arange(1, 8) / 8, atol=0.02)
        if kind != "student_t":  # whose fourth moment need not exist
            mean_is(own, mean)
        else:
            assert mean == pytest.approx(np.median(own), abs=0.1)
    elif kind in of_table.COUNTS:
        mean_is(own, expected)
        shares = np.exp(own_density(kind, theta[:, 0], np.arange(6.0)))
        same_shares(own, shares)
    else:
        shares = np.exp(own_density(kind, theta[:, 0], np.arange(float(len(NAMES[kind])))))
        same_shares(own, shares)
        assert expected == shares.argmax()


def every_kind():
    return made(*(ONE[kind] for kind in of_table.KINDS), *(ONE[k] for k in of_table.KINDS[::-2]))


def rows_of_every_kind(likelihood, count=5, seed=0):
    theta = random_theta(likelihood, (count,), seed)
    keys = jax.random.split(jax.random.key(seed), count)
    return theta, np.asarray(jax.vmap(likelihood.sample)(keys, jnp.asarray(theta)))[..., 0]


def test_columns_are_independent_and_in_their_places():
    likelihood = every_kind()
    theta, x = rows_of_every_kind(likelihood)
    total = np.zeros(len(x))
    for d, column in enumerate(likelihood.columns):
        (group,) = [g for g in likelihood.groups if d in g.at]
        outputs, scalars = (np.asarray(part)[:, list(group.at).index(d)]
                            for part in group.parts(jnp.asarray(theta[..., 0])))  # fmt: skip
        alone = np.concatenate([outputs, scalars], -1)[..., None]
        total += np.stack([log_prob(made(column), t, x[i : i + 1, d : d + 1])[0]
                           for i, t in enumerate(alone)])  # fmt: skip
    got = np.asarray(likelihood.log_prob(jnp.asarray(theta), x[..., None]))
    np.testing.assert_allclose(got, total, rtol=1e-5, atol=1e-4)


def test_missing_cells_count_for_nothing_and_nothing_is_nan():
    likelihood = every_kind()
    theta, x = rows_of_every_kind(likelihood)
    each = np.zeros(x.shape)
    for group, part in zip(likelihood.groups, likelihood.log_prob_each(theta, x[..., None]),
                           strict=True):  # fmt: skip
        each[:, group.at] = part
    holed = np.where(np.random.default_rng(3).random(x.shape) < 0.5, np.nan, x)
    holed[0] = np.nan
    value = jax.jit(jax.value_and_grad(lambda t: likelihood.log_prob(t, holed[..., None]).sum()))
    got = np.asarray(jax.jit(likelihood.log_prob)(theta, holed[..., None]))
    np.testing.assert_allclose(got, np.where(np.isnan(holed), 0.0, each).sum(1), rtol=1e-4)
    assert got[0] == 0.0 and np.isfinite(value(theta)[1]).all()
    assert not np.any(value(theta)[1][0])


def test_with_nothing_missing_the_mask_changes_no_bit():
    likelihood = every_kind()
    theta, x = rows_of_every_kind(likelihood)

    @jax.jit
    def without(theta, x):
        parts = [g.kind.log_prob(x[..., g.at], *g.parts(theta[..., 0])) for g in likelihood.groups]
        return jnp.concatenate(parts, -1).sum(-1)

    got = jax.jit(likelihood.log_prob)(theta, x[..., None])
    np.testing.assert_array_equal(got, without(theta, x))


def test_gaussian_columns_are_gaussian_learned_column_by_column():
    scales = (1.0, 0.25, 30.0)
    likelihood = made(*(Column(centre=2.0, scale=scale) for scale in scales))
    theta = random_theta(likelihood, (4,))
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    learned, expected = likelihoods.gaussian_learned(), -np.log(scales).sum()  # of own units
    for d in range(3):
        logvar = np.asarray(bounded(theta[:, 3 + d]))
        one = np.concatenate([theta[:, d], logvar], -1)[:, None]
        expected += np.asarray(learned.log_prob(jnp.asarray(one), x[:, d, None, None]))
    got = likelihood.log_prob(jnp.asarray(theta), x[..., None])
    np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_values_and_gradients_are_finite_at_extremes():
    likelihood = every_kind()
    _, x = rows_of_every_kind(likelihood)
    shape = random_theta(likelihood).shape
    both = jax.jit(jax.value_and_grad(
        lambda theta, x: likelihood.log_prob(theta, x[..., None]).sum()
    ))  # fmt: skip
    mean = jax.jit(likelihood.mean)
    for seed, size in enumerate([30.0, 30.0, 300.0, 300.0, 1e6, 1e6]):
        sign = np.sign(np.random.default_rng(seed).normal(size=(len(x), *shape)))
        for far in (1e4, -1e4):
            continuous = [c.kind in of_table.LINKS for c in likelihood.columns]
            total, slope = both((size * sign).astype(np.float32),
                                np.where(continuous, far, x).astype(np.float32))  # fmt: skip
            assert np.isfinite(total) and np.isfinite(slope).all()
        assert np.isfinite(mean((size * sign).astype(np.float32))).all()


def test_encoders_see_numbers_levels_counts_and_what_is_observed():
    likelihood = made(
        Column(holes=True), Column("categorical", ("a", "b", "c")), Column("poisson", centre=1.0),
        Column("bernoulli", ("n", "y"), holes=True),
    )  # fmt: skip
    x = np.array([[0.5, 2, 3, 1], [np.nan, np.nan, np.nan, np.nan]], np.float32)
    got = np.asarray(likelihood.encoder_input(x))
    expected = [0.5, 0, 0, 1, np.log(4.0) - 1.0, 1.0, 1, 1]
    np.testing.assert_allclose(got, [expected, np.zeros(8)], rtol=1e-6)


def test_training_starts_at_the_columns_own_means_and_shares():
    columns = (Column(start=(0.3,)), Column("negative_binomial", start=(7.0, 2.0)),
               Column("categorical", ("a", "b"), start=(0.2, 0.8)),
               Column("ordinal", ("a", "b", "c"), start=(0.2, 0.5, 0.3)),
               Column("zero_inflated_negative_binomial", start=(7.0, 2.0)))  # fmt: skip
    likelihood = made(*columns)
    theta = random_theta(likelihood, spread=0.0)
    got = np.asarray(likelihood.expected(jnp.asarray(theta)))
    np.testing.assert_allclose(got, [0.3, 7, 0.2, 0.8, 0.2, 0.5, 0.3, 7], rtol=1e-4)
    np.testing.assert_allclose(likelihood.mean(jnp.asarray(theta))[:, 0], [0.3, 7, 1, 1, 7],
                               rtol=1e-4)  # fmt: skip


def test_p_of_what_is_observed_is_the_closed_form_at_every_pattern():
    """A linear decoder of one latent, by quadrature over it, in the columns' own units."""
    units = (1.0, 2.0), (-3.0, 0.5), (0.0, 7.0), (4.0, 1.0)
    columns = tuple(Column(centre=c, scale=s) for c, s in units)
    likelihood, rng = made(*columns), np.random.default_rng(0)
    w, b, logvar = rng.normal(size=4), rng.normal(size=4), np.array([-1.0, 0.3, -0.4, 0.1])
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    mu = b + nodes[:, None] * w
    raw = 15 * np.arctanh(logvar / 15)
    theta = np.concatenate([mu, np.broadcast_to(raw, mu.shape)], -1)[:, None, :, None]
    scale, centre = (np.array([getattr(c, n) for c in columns]) for n in ("scale", "centre"))
    mean = centre + scale * b
    covariance = np.outer(scale * w, scale * w) + np.diag(scale**2 * np.exp(logvar))
    x = rng.multivariate_normal(mean, covariance, size=4)
    for pattern in itertools.product([True, False], repeat=4):
        there = np.array(pattern)
        holed = of_table.seen(np.where(there, x, np.nan), columns)
        log_p = likelihood.log_prob(jnp.asarray(theta, jnp.float32), holed[..., None])
        got = logsumexp(np.asarray(log_p, np.float64), 0, weights[:, None] / np.sqrt(2 * np.pi))
        if not there.any():
            np.testing.assert_allclose(got, 0.0, atol=1e-6)
            continue
        closed = stats.multivariate_normal(mean[there], covariance[np.ix_(there, there)])
        np.testing.assert_allclose(got, closed.logpdf(x[:, there]), rtol=1e-4, atol=1e-4)
