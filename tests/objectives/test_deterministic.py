import jax
import numpy as np
import pytest

from tests.objectives.shared import (
    bits,
    chosen,
    evaluate,
    hyper,
    keys_for,
    model_and_params,
)
from vae.objectives.elbo import bound_terms

NAMES = ["autoencoder", "rae"]


def test_an_autoencoder_reconstructs_from_the_posterior_mean():
    terms, (model, x, keys) = evaluate("autoencoder", {})
    expected = -model.log_likelihood(model.decode(model.encode(x).mean), x)
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)
    bound = jax.jit(lambda x, keys: bound_terms(model, x, keys))(x, keys)
    for name, value in bound.items():  # by a draw: at the mean it would be no bound
        np.testing.assert_allclose(terms[name], value, rtol=1e-6)
    assert all(term.shape == (20,) for term in terms.values())


def test_rae_penalises_latents_and_the_decoder_s_kernels():
    terms, (model, x, _) = evaluate("rae", hyper(beta=3.0, decoder_penalty=0.2))
    z = np.asarray(model.encode(x).mean)
    decoder = model.variables["params"]["decoder"]
    weights = sum(float((layer["kernel"] ** 2).sum()) for layer in decoder.values())
    expected = -model.log_likelihood(model.decode(z), x)
    np.testing.assert_allclose(terms["reconstruction"], expected, rtol=1e-5)
    expected = expected + 1.5 * (z**2).sum(1) + 0.2 * weights
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)
    assert all(term.shape == (20,) for term in terms.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_posterior_s_variance_is_not_learnt(name):
    objective, (model, params) = chosen(name), model_and_params()
    x, keys, values = bits(20), keys_for(20), hyper(beta=1.0, decoder_penalty=0.1)

    def loss(params):
        return objective(model.bind({"params": params}), x, keys, values)["loss"].mean()

    gradient = jax.jit(jax.grad(loss))(params)["posterior"]["kernel"]
    means, logvars = np.asarray(gradient).reshape(-1, model.latent_size, 2).transpose(2, 0, 1)
    assert np.any(means) and not np.any(logvars)
