"""What an objective cannot go with is refused before anything is compiled or written."""

import pytest

from tests.helpers import grey_dataset, small_config
from vae.errors import UserError
from vae.training import setup


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("has no beta", {"name": "iwae", "beta": 2.0}),
        ("has no beta", {"name": "wae", "beta_schedule": "linear", "beta_epochs": 1.0}),
        ("has no capacity", {"name": "elbo", "capacity_epochs": 2.0}),
        ("train.batch_size=120", {"name": "beta_tcvae", "estimator": "exact"}),
        ("gaussian_learned", {"name": "sigma_vae"}),
        ("one of: imq, rbf", {"name": "wae", "kernel": "laplace"}),
        ("did you mean 'iwae'", {"name": "iwea"}),
    ],
)
def test_settings_that_the_objective_cannot_use_are_refused(message, changes):
    config = small_config(**{f"objective__{key}": value for key, value in changes.items()})
    with pytest.raises(UserError) as error:
        setup.program(config, grey_dataset())
    assert message in str(error.value) and len(str(error.value).splitlines()) <= 2


@pytest.mark.parametrize(("name", "latents"), [("beta_tcvae", 1), ("factor_vae", 1)])
def test_a_total_correlation_of_one_latent_is_refused(name, latents):
    config = small_config(objective__name=name, model__latent_size=latents)
    with pytest.raises(UserError, match="several latents"):
        setup.program(config, grey_dataset())


def test_a_batch_of_one_is_refused_where_examples_are_compared():
    config = small_config(objective__name="wae", train__batch_size=1)
    with pytest.raises(UserError, match="train.batch_size above 1"):
        setup.program(config, grey_dataset())


def test_named_parts_are_logged_in_the_order_of_blame():
    program = setup.program(small_config(objective__name="beta_tcvae"), grey_dataset())
    assert program.terms == (
        *("distortion", "rate", "elbo", "dimension_kl", "mi", "tc", "loss", "gradient_norm"),
    )
