"""Every metric that evaluation writes is declared: its label, and which way it is better."""

import json
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from experiments import result_files
from vae import metrics
from vae.data.qm9 import PROPERTIES
from vae.errors import RunError
from vae.estimators import aggregate
from vae.evaluation import anomaly_scores, groups
from vae.metrics import Kind, Metric, counted_in, declared, filled, mean_and_stderr, sign
from vae.scores import anomaly, disentanglement, latents, probes, ranking
from vae.scores.samples.families import METRICS as OF_SAMPLES

LOSS = Kind("a_loss_of_{:d}", "Loss of {:,}", "down", "nats, of a test")

OF_EXPERIMENTS = {  # computed by an experiment, and not by `evaluate`
    "accuracy", "auroc", "aupr", "precision_at_n", "best_qed", "mean_of_best_10", "evaluations",
    "validation", "elbo_bits", "file_bits", "first_bits", "iwae_bits", "net_bits",
    "network_per_second", "packed_per_second", "unpacked_per_second", "class_right",
    "reconstructed", "seconds", "steps", "seconds_to_bound", "epochs_to_bound",
    "seconds_per_epoch",
}  # fmt: skip


def recorded():
    """The names of all metrics of evaluation.json that experiments' results hold."""
    found = set()

    def walk(value):
        if isinstance(value, dict):
            found.update(k for k, v in value.items() if isinstance(v, dict) and "value" in v)
            if isinstance(value.get("metrics"), dict):
                found.update(value["metrics"])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(result_files.recorded())
    return found - OF_EXPERIMENTS


def of_likelihoods(monkeypatch):
    """The metrics that the groups of bounds return, of four examples."""
    four = np.arange(4.0)
    annealed = {"log_p": four, "acceptance": four, "effective": four,
                "distortion": np.ones((4, 3)), "log_z": np.ones((4, 3))}  # fmt: skip
    bounds = {"upper": four, "lower": four, "amortised": four, "local": four}
    monkeypatch.setattr(
        aggregate, "measure",
        lambda *_: dict.fromkeys(("mutual_information", "aggregate_kl", "aggregate_mmd"), four),
    )  # fmt: skip
    subject = SimpleNamespace(
        run=SimpleNamespace(
            facts=SimpleNamespace(conditional=False),
            compiled=Mock(),
            variables=None, latent_size=2,
        ),
        annealing=SimpleNamespace(betas=np.array([0.0, 0.5, 1.0]), describe=lambda: "AIS"),
        annealed=annealed, x=four, key=None, apply=lambda *_: bounds,
        per_example={"nll_iwae_5": four},
        settings=SimpleNamespace(
            batch_size=4, ais_examples=4, local_steps=1, local_draws=1, iwae_samples=(5,)
        ),
    )  # fmt: skip
    parts = (groups.aggregate, groups.ais, groups.bdmc, groups.gaps)
    return [metric for part in parts for metric in part(subject)[0].values()]


def of_codes():
    """What disentanglement, probes, anomalies, likes and codebooks return, of few examples."""
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 2, (60, 2))
    codes = factors + 0.1 * rng.standard_normal((60, 2))
    names = [name for name in disentanglement.METRICS if not name.startswith("dci")]  # slow
    labels = factors[:, 0]
    found = [
        disentanglement.scores(codes, factors, np.ones_like(codes), names=names),
        disentanglement.udr([codes, codes[:, ::-1]]),
        probes.linear_probe(codes, labels, codes, labels),
        probes.knn_probe(codes, labels, codes, labels),
        probes.ridge_probe(codes, codes, codes, codes),
        probes.few_label_probe(codes, labels, codes, labels, labels=(1, 10), seed=0),
        anomaly.metrics(codes[:, 0], labels),
        *(anomaly.metrics(codes[:, 0], labels, score) for score in anomaly_scores.NAMES),
        ranking.metrics(dict.fromkeys(ranking.KINDS, codes[:, 0])),
        latents.codebook(factors, 4)[0],
    ]
    return [metric for of in found for metric in of.values()]


def test_every_metric_carries_what_its_kind_declares(monkeypatch):
    found = of_likelihoods(monkeypatch) + of_codes()
    assert len(found) > 60
    for metric in found:
        kind = declared(metric.name)
        assert (kind.label, kind.better) == (metric.label, metric.better), metric
        entry = json.loads(json.dumps(metric.entry()))
        assert entry.keys() - {"shown"} == {"value", "stderr", "unit", "better", "label"}
        assert {"shown": ""} | entry == filled("?", entry)


def test_every_name_is_declared():
    names = recorded() | set(OF_SAMPLES)
    names |= {f"wasserstein_{name}" for name in PROPERTIES} | {"frechet_morgan", "r2_11"}
    names |= {"elbo", "rate", "distortion", "active_units", "bpd", "classification_error"}
    assert len(names) > 60 and {"bpd", "udr_lasso", "validity"} <= names
    assert [name for name in sorted(names) if declared(name) is None] == []


@pytest.mark.parametrize(
    ("which", "names"),
    [
        (
            "down",
            "distortion nll_ais nll_iwae_1 nll_iwae_5000 bpd bdmc_gap gap_inference "
            "gap_approximation gap_amortisation gap_iwae_50 aggregate_kl aggregate_mmd "
            "classification_error linear_probe_error ridge_probe_error knn_probe_error "
            "probe_10_labels_error feature_distance reconstruction_frechet_distance "
            "reconstruction_kernel_distance codes_dead stream_2_codes_dead frechet_distance "
            "kernel_distance memorised wasserstein_qed "
            "wasserstein_logp wasserstein_weight frechet_morgan",
        ),
        (
            "up",
            "elbo codes_used codebook_perplexity beta_vae_score factor_vae_score mig_histogram "
            "mig_sampled rmig sap sap_r2 dci_trees_disentanglement dci_linear_completeness "
            "dci_trees_informativeness modularity explicitness irs infom infoe infoc udr_spearman "
            "psnr ssim ms_ssim code_usage stream_1_code_usage stream_1_perplexity "
            "reconstruction_precision reconstruction_recall reconstruction_density "
            "reconstruction_coverage udr_lasso precision recall density coverage auroc_elbo "
            "aupr_residual "
            "precision_at_n_rate recall_20 ndcg_100 validity uniqueness novelty reconstruction "
            "r2_0",
        ),
        (
            "none",
            "rate mutual_information active_units ais_acceptance ais_effective bdmc_lower "
            "bdmc_upper two_sample_accuracy two_sample_p_value data_copying sharpness "
            "sharpness_data diversity diversity_data class_entropy class_entropy_data "
            "nearest_training_distance nearest_training_distance_data",
        ),
    ],
)
def test_what_is_better_is_that_of_the_literature(which, names):
    assert {name: declared(name).better for name in names.split()} == dict.fromkeys(
        names.split(), which
    )


@pytest.mark.parametrize(
    "name", ["", "elb", "elbow", "nll", "gap", "nll_iwae_", "recall_x", "seconds", "a_loss_of_3"]
)
def test_no_name_is_guessed_and_none_is_of_another_place(name):
    assert declared(name) is None


def test_a_mean_over_examples_with_its_standard_error():
    values = np.array([1.0, 2.0, 3.0, 4.0])
    found = LOSS[1000](values)
    error = np.std(values, ddof=1) / 2
    assert found == Metric(
        "a_loss_of_1000", 2.5, pytest.approx(error), "nats, of a test", "down", "Loss of 1,000"
    )
    assert LOSS[1000](values, "bits").unit == "bits"
    assert (LOSS.name, LOSS.label) == ("a_loss_of_{:d}", "Loss of {:,}")
    assert LOSS[2].of(np.float32(0.5)).value == 0.5 and isinstance(LOSS[2].of(3).value, int)


def test_a_planted_nan_fails_loudly():
    values = np.ones(10)
    values[4] = np.nan
    for made in (lambda: mean_and_stderr(values, "elbo"), lambda: declared("elbo")(values)):
        with pytest.raises(RunError, match="elbo is not finite for 1 of 10 examples .first: numb"):
            made()


def test_kinds_contradict_neither_themselves_nor_each_other():
    with pytest.raises(ValueError, match="is one of: up, down, none"):
        Kind("a_gain", "Gain", "higher")
    with pytest.raises(ValueError, match="test_metrics declares .* 'elbo', and so does vae.evalua"):
        Kind("elbo", "ELBO", "down", "nats")
    assert declared("elbo").better == "up" and declared("a_gain") is None


@pytest.mark.parametrize(
    "found",
    [
        {"elbo": {"value": 1.0, "stderr": None, "unit": "nats"}},
        {"elbo": LOSS[1].of(1.0)},
        {"nobody_s": Metric("nobody_s", 1.0, None, "", "up", "Nobody's")},
    ],
)
def test_what_no_kind_made_is_refused_with_its_place(found):
    with pytest.raises(TypeError, match=f"some.place returns '{next(iter(found))}'.*declare it"):
        metrics.checked(found, "some.place")


def test_older_files_frame_nothing_as_best():
    entry = filled("nll_iwae_5", {"value": 3.0, "unit": None})
    assert sign(entry) == 0 and entry["label"] == "nll_iwae_5"
    assert (entry["value"], entry["stderr"], entry["unit"]) == (3.0, None, "")
    ways = [sign(filled("", {"better": better})) for better in ("up", "down", "none")]
    assert ways == [1, -1, 0]


def test_a_unit_of_one_word_is_what_a_number_is_counted_in():
    units = {"nats": "nats", "nats, of 9 examples": "nats", "nats; draws": "nats",
             "share of 9": "", "": "", "bits per dimension, of": ""}  # fmt: skip
    assert {unit: counted_in({"unit": unit}) for unit in units} == units
