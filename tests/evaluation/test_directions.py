"""Every metric that evaluation writes says which way it is better."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vae.data.qm9 import PROPERTIES
from vae.evaluation import (
    aggregate,
    anomaly,
    disentanglement,
    groups,
    latents,
    probes,
    ranking,
)
from vae.evaluation.directions import HIGHER, LOWER, NEITHER, direction, sign
from vae.evaluation.samples.metrics import METRICS as OF_SAMPLES

RESULTS = Path(__file__).resolve().parents[2] / "experiments" / "results"
OF_EXPERIMENTS = {  # computed by an experiment, and not by `evaluate`
    "accuracy", "auroc", "aupr", "precision_at_n", "best_qed", "mean_of_best_10", "evaluations",
    "validation",
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

    for path in RESULTS.glob("*.json"):
        walk(json.loads(path.read_text()))
    return found - OF_EXPERIMENTS


def of_likelihoods(monkeypatch):
    """What the groups of bounds return, of four examples."""
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
            compiled=SimpleNamespace(
                aggregate=None, bidirectional=lambda _: None, local_elbo=lambda *_: None
            ),
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
    return set().union(*(part(subject)[0] for part in parts))


def of_codes():
    """What disentanglement, probes, anomalies, likes and codebooks return, of few examples."""
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 2, (60, 2))
    codes = factors + 0.1 * rng.standard_normal((60, 2))
    names = [name for name in disentanglement.METRICS if not name.startswith("dci")]  # slow: below
    found = set(disentanglement.scores(codes, factors, np.ones_like(codes), names=names))
    found |= {f"dci_{kind}_{part}" for kind in ("trees", "linear")
              for part in ("disentanglement", "completeness", "informativeness")}  # fmt: skip
    labels = factors[:, 0]
    found |= set(probes.linear_probe(codes, labels, codes, labels))
    found |= set(probes.knn_probe(codes, labels, codes, labels))
    found |= set(probes.ridge_probe(codes, codes, codes, codes))
    found |= set(probes.few_label_probe(codes, labels, codes, labels, labels=(1, 10), seed=0))
    scores = ("elbo", "iwae", "reconstruction", "rate", "mahalanobis", "residual")
    kinds = anomaly.metrics(codes[:, 0], labels)
    found |= {f"{kind}_{score}" for kind in kinds for score in scores}
    found |= {f"recall_{k}" for k in ranking.RECALLS} | {f"ndcg_{k}" for k in ranking.GAINS}
    found |= set(latents.codebook(factors, 4)[0])
    return found | {f"wasserstein_{name}" for name in PROPERTIES} | {"frechet_morgan", "r2_11"}


def test_every_metric_has_a_direction(monkeypatch):
    found = recorded() | of_likelihoods(monkeypatch) | of_codes() | set(OF_SAMPLES)
    found |= {"elbo", "rate", "distortion", "active_units", "bpd", "classification_error"}
    assert len(found) > 80 and {"bdmc_gap", "gap_iwae_5", "udr_lasso", "validity"} <= found
    assert [name for name in sorted(found) if direction(name) is None] == []


@pytest.mark.parametrize(
    ("which", "names"),
    [
        (
            "lower",
            "distortion nll_ais nll_iwae_1 nll_iwae_5000 bpd bdmc_gap gap_inference "
            "gap_approximation gap_amortisation gap_iwae_50 aggregate_kl aggregate_mmd "
            "classification_error linear_probe_error ridge_probe_error knn_probe_error "
            "probe_10_labels_error frechet_distance kernel_distance memorised wasserstein_qed "
            "wasserstein_logp wasserstein_weight frechet_morgan seconds loss",
        ),
        (
            "higher",
            "elbo codes_used codebook_perplexity beta_vae_score factor_vae_score mig_histogram "
            "mig_sampled rmig sap sap_r2 dci_trees_disentanglement dci_linear_completeness "
            "dci_trees_informativeness modularity explicitness irs infom infoe infoc udr_spearman "
            "udr_lasso precision recall density coverage auroc_elbo aupr_residual "
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
def test_directions_are_those_of_the_literature(which, names):
    assert {name: direction(name) for name in names.split()} == dict.fromkeys(names.split(), which)


@pytest.mark.parametrize("name", ["", "elb", "elbow", "nll", "gap", "nll_iwae_", "recall_x"])
def test_no_name_is_guessed_from_its_beginning(name):
    assert direction(name) is None and sign(name) == 0


def test_signs_follow():
    assert [sign(name) for name in ("elbo", "bpd", "rate", "?")] == [1, -1, 0, 0]
    assert len(set(HIGHER) | set(LOWER) | set(NEITHER)) == len(HIGHER + LOWER + NEITHER)
