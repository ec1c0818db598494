import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import chisquare

from tests.helpers import build, grey_dataset, small_config
from tests.margins import likely, near
from tests.objectives.shared import (
    bits,
    chosen,
    evaluate,
    hyper,
    keys_for,
    model_and_params,
)
from vae.networks import critics
from vae.objectives.adversarial import permuted
from vae.training import step


def test_permuted_shuffles_every_latent_by_itself_over_the_global_batch():
    z = np.arange(40.0).reshape(8, 5)
    one = np.asarray(permuted(jnp.asarray(z), keys_for(8), None))
    np.testing.assert_array_equal(np.sort(one, axis=0), z)
    orders = {tuple(column) for column in (one // 5).T}
    assert len(orders) == 5 and tuple(range(8)) not in orders
    spread = lambda a: a.reshape(4, 2, *a.shape[1:])  # noqa: E731
    four = jax.pmap(lambda z, keys: permuted(z, keys, "device"), axis_name="device")(
        spread(jnp.asarray(z)), spread(keys_for(8))
    )
    np.testing.assert_array_equal(np.asarray(four).reshape(8, 5), one)


def test_every_permutation_is_equally_likely():
    z = jnp.arange(3.0)[:, None]
    keys = keys_for(6000).reshape(2000, 3)
    found = np.asarray(jax.vmap(lambda keys: permuted(z, keys, None)[:, 0])(keys))
    _, counts = np.unique(found, axis=0, return_counts=True)
    assert len(counts) == 6
    likely(chisquare(counts).pvalue)


def test_the_loss_is_the_sum_of_its_named_parts():
    terms, (model, _, _) = evaluate("factor_vae", hyper(tc=7.0))
    loss = terms["distortion"] + terms["rate"] + 7.0 * terms["tc"]
    np.testing.assert_allclose(terms["loss"], loss, rtol=1e-6)
    assert all(term.shape == (20,) for term in terms.values())
    assert model.critic is not None


def test_the_model_learns_from_the_loss_and_the_critic_from_its_own():
    objective, (model, params) = chosen("factor_vae"), model_and_params(name="factor_vae")
    x, keys, weight = bits(20), keys_for(20), 7.0

    def terms(params):
        return objective(model.bind({"params": params}), x, keys, hyper(tc=weight))

    def gradient(value):
        return jax.jit(jax.grad(lambda params: value(terms(params)).mean()))(params)

    got = gradient(lambda t: t["loss"])
    critic = gradient(lambda t: t["critic_loss"])
    plain = gradient(lambda t: t["distortion"] + t["rate"] + weight * t["tc"])
    for name in params:
        expected = critic if name == "critic" else plain
        for a, b in zip(jax.tree.leaves(got[name]), jax.tree.leaves(expected[name]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    # What the critic minimises moves no weight of the model, and tc none of the critic.
    assert not any(np.any(leaf) for leaf in jax.tree.leaves({**critic, "critic": ()}))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(plain["critic"]))
    tc = gradient(lambda t: t["tc"])
    assert any(np.any(leaf) for leaf in jax.tree.leaves(tc["encoder"]))


def test_the_critic_s_logit_is_the_log_density_ratio():
    """A critic trained on a correlated Gaussian: the mean logit is the total correlation."""
    corr = 0.8
    critic = critics.mlp((32, 32))
    params = critic.init(jax.random.key(0), jnp.zeros((1, 2)))
    optimizer = optax.adam(3e-3)
    root = np.linalg.cholesky([[1.0, corr], [corr, 1.0]]).astype(np.float32)

    def draw(key, count):
        return jax.random.normal(key, (count, 2)) @ root.T

    def loss(params, key):
        z_key, permutation_key = jax.random.split(key)
        z = draw(z_key, 500)
        other = permuted(z, jax.random.split(permutation_key, 500), None)
        joint, independent = critic.apply(params, z), critic.apply(params, other)
        return 0.5 * (jax.nn.softplus(-joint) + jax.nn.softplus(independent)).mean()

    @jax.jit
    def train(params, state, key):
        def body(carry, key):
            params, state = carry
            direction, state = optimizer.update(jax.grad(loss)(params, key), state)
            return (optax.apply_updates(params, direction), state), None

        return jax.lax.scan(body, (params, state), jax.random.split(key, 1500))[0]

    params, _ = train(params, optimizer.init(params), jax.random.key(1))
    tc = critic.apply(params, draw(jax.random.key(2), 20000)).mean()
    near(tc, -0.5 * np.log(1 - corr**2), 0.18)


def test_one_train_step_moves_both_each_by_its_own_optimiser():
    """The critic's first Adam step is its learning rate, whatever the model's optimiser is."""
    config = small_config(
        objective__name="factor_vae",
        objective__critic_hidden=(8,),
        objective__critic_learning_rate=1e-3,
        optimizer__name="sgd",
        optimizer__learning_rate=1.0,
        optimizer__clip_norm=1e-2,
        optimizer__schedule="constant",
    )
    dataset = grey_dataset()
    program, values, first = build(config, dataset)
    batch = {"x": dataset.splits["train"].x[:40]}
    after = jax.jit(lambda state, batch: step.train_step(program, state, values, batch))(
        first, batch
    )
    moved = jax.tree.map(lambda a, b: np.abs(np.asarray(a - b)), after.params, first.params)
    kernel = moved["critic"]["Dense_1"]["kernel"]
    np.testing.assert_allclose(kernel, 1e-3, rtol=1e-2)
    others = jax.tree.leaves({**moved, "critic": ()})
    norm = np.sqrt(sum(np.square(leaf, dtype=np.float64).sum() for leaf in others))
    np.testing.assert_allclose(norm, 1e-2, rtol=1e-3)  # clipped without the critic
    assert {"tc", "critic_loss"} <= set(program.terms) <= set(after.sums)
