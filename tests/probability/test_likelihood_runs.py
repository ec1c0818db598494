"""A tiny model by each likelihood: trained, resumed, evaluated and reported."""

import numpy as np
import pytest

import vae
from tests.helpers import small_config
from vae import data
from vae.errors import UserError
from vae.evaluation.evaluate import evaluate_run
from vae.evaluation.trained import load
from vae.probability import likelihoods
from vae.reports.page import report_run
from vae.reports.sampling import sample
from vae.training import setup
from vae.training.population import Group

TINY = dict(
    model__hidden=(4,),
    model__mixtures=2,
    model__sigma=0.2,
    train__epochs=2,
    train__batch_size=16,
    eval__iwae_samples=(2,),
    eval__elbo_samples=2,
)
PAIRS = [
    (name, kind) for name in likelihoods.__all__ for kind in getattr(likelihoods, name).kinds
]
FAST = [
    ("discretized_logistic_mixture", "grey"),
    ("categorical_tokens", "tokens"),
]


def write(folder, kind):
    """40 examples of a kind; those that may be images are, and grey ones are in colour."""
    rng = np.random.default_rng(0)
    x = {
        "binary": lambda: rng.integers(0, 2, (40, 6)),
        "grey": lambda: rng.integers(0, 256, (40, 3, 2, 3)).astype(np.uint8),
        "real": lambda: rng.normal(size=(40, 3, 2)),
        "counts": lambda: rng.poisson(1.0, (40, 6)) * rng.integers(1, 200, 6),
        "tokens": lambda: rng.integers(0, 5, (40, 6)),
    }[kind]()
    if kind == "tokens":
        x[0, 0] = 6
    np.save(folder / "data.npy", x)
    return {
        "data__name": "files",
        "data__path": str(folder / "data.npy"),
        "data__kind": kind,
        "data__binarization": "none",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [pytest.param(*pair, marks=() if pair in FAST else pytest.mark.slow) for pair in PAIRS],
)
def test_a_model_trains_resumes_evaluates_and_reports(tmp_path, name, kind, record_property):
    """As one of two latent sizes in one program: a population, stopped after half its steps."""
    settings = TINY | write(tmp_path, kind) | {"model__likelihood": name}
    members = [
        (small_config(**settings, model__latent_size=size), tmp_path / str(size)) for size in (1, 2)
    ]
    group = Group([config for config, _ in members])
    for until, steps in ((1, 2), (None, 4)):
        assert not any(trial.failure for trial in group.train(members, at_once=2, until=until))
        run = load(members[0][1], "last", compiled=group.compiled, dataset=group.dataset)
        assert run.step == steps
    metrics = evaluate_run(run)["metrics"]
    assert ("bpd" in metrics) == run.model.likelihood.discrete == (
        kind not in ("real", "counts")
        and name in ("bernoulli", "categorical", "categorical_tokens")
        or name.startswith("discretized")
    )
    assert all(np.isfinite(metric["value"]) for metric in metrics.values())
    if hasattr(run.model.likelihood, "levels"):
        assert run.model.likelihood.levels == {
            "binary": 2, "grey": 256, "tokens": 7, "counts": 0
        }[kind]  # fmt: skip

    x = run.examples("test")
    assert x.dtype == np.float32 and x.shape == (4, *run.shape)
    for values in (run.reconstruct(x), run.sample(4), run.sample(4, draw=True)):
        assert values.shape == x.shape and np.isfinite(values).all()
    assert np.isfinite(run.log_likelihood(x, 2)).all()
    if kind in ("counts", "tokens"):
        assert set(x.ravel()) <= set(np.load(tmp_path / "data.npy").ravel())
        with pytest.raises(UserError, match=f"no {kind}"):
            run.encode(x + 0.5)
    if kind == "tokens":
        with pytest.raises(UserError, match="knows 0 to 6"):
            run.encode(x + 7.0)

    with np.load(sample(run.workdir, 3)[0]) as samples:
        assert samples["mean"].shape == (3, *run.shape)
    page = report_run(run, run.workdir).read_text()
    assert name.replace("_", " ") in page
    assert (run.workdir / "figures" / "reconstructions.png").exists() == (len(run.shape) == 3)
    for way in ("train", "resume", "evaluate", "report"):
        record_property("combination", f"{name}|{way}|ran")


def test_misfits_are_refused_with_those_that_fit(tmp_path):
    """Before anything is written; each message says what to set."""

    def refused(name, kind="", **changes):
        keys = write(tmp_path, kind or "tokens") | {"data__kind": kind} | changes
        config = small_config(**TINY | keys, model__likelihood=name)
        with pytest.raises(UserError) as error:
            setup.check_data(config, data.load(config.data))
        return str(error.value)

    fitting = "set model.likelihood to one of: "
    counts = "multinomial, negative_binomial, zero_inflated_negative_binomial"
    assert refused("laplace", "counts").endswith(fitting + counts)
    assert refused("bernoulli", "tokens").endswith(fitting + "categorical_tokens")
    assert fitting + "categorical, continuous_bernoulli, disc" in refused("multinomial", "grey")
    assert "set data.kind to counts, or" in refused("negative_binomial")
    assert "set data.kind to tokens, or" in refused("categorical_tokens")
    message = refused("categorical", "real")
    assert message.endswith("gaussian_fixed, gaussian_learned, gaussian_per_pixel, laplace")
    assert "set data.binarization=none, or" in refused(
        "discretized_logistic", data__name="digits", data__path="", data__binarization="dynamic"
    )
    images = {"data__name": "digits", "data__path": "", "data__binarization": "static"}
    assert "vectors [N, D], and digits holds images" in refused("multinomial", **images)
    assert refused("multinomial", **images).endswith("one of: bernoulli")
    with pytest.raises(UserError, match="is for grey data"):
        vae.train(small_config(model__likelihood="categorical"), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
