"""Which way a metric is better, declared for every name that `evaluate` writes."""

import functools
import re

# Whole names, as regular expressions.
HIGHER = (
    "elbo",
    # Codes in use: of a VQ-VAE (van den Oord et al. 2017).
    "codes_used", "codebook_perplexity",
    # Disentanglement: all of [0, 1] but SAP's and MIG's gaps, 1 the best; informativeness is the
    # share told right, and not DCI's error.
    "beta_vae_score", "factor_vae_score", "mig_histogram", "mig_sampled", "rmig", "sap", "sap_r2",
    "dci_(trees|linear)_(disentanglement|completeness|informativeness)",
    "modularity", "explicitness", "irs", "infom", "infoe", "infoc", "udr_(spearman|lasso)",
    # Samples as neighbours of data (Kynkaanniemi et al. 2019; Naeem et al. 2020).
    "precision", "recall", "density", "coverage",
    # Anomalies found, likes found, molecules.
    r"(auroc|aupr|precision_at_n)_\w+", r"(recall|ndcg)_\d+",
    "validity", "uniqueness", "novelty", "reconstruction", r"r2_\d+",
)  # fmt: skip
LOWER = (
    "loss", "distortion", r"nll_(ais|iwae_\d+)", "bpd",
    "bdmc_gap", r"gap_(inference|approximation|amortisation|iwae_\d+)",
    "aggregate_kl", "aggregate_mmd",
    "classification_error", "(linear|ridge|knn)_probe_error", r"probe_\d+_labels_error",
    "frechet_distance", "kernel_distance", "memorised",
    "wasserstein_(qed|logp|weight)", "frechet_morgan", "seconds",
)  # fmt: skip
NEITHER = (
    # What a model trades: less rate is collapse, more is overfitting, and so of what it carries.
    "rate", "mutual_information", "active_units",
    # Of the estimate, not of the model; and bounds for examples that every model draws itself.
    "ais_acceptance", "ais_effective", "bdmc_lower", "bdmc_upper",
    # Best at another value than an end: at chance, at 0, or at that of the data beside it.
    "two_sample_accuracy", "two_sample_p_value", "data_copying",
    "(nearest_training_distance|sharpness|diversity|class_entropy)(_data)?",
)  # fmt: skip


@functools.cache
def direction(metric: str) -> str | None:
    """"higher" or "lower", whichever is better; "none" where neither is; None of an unknown name.

    "seconds" and "loss", which sweeps and training write beside metrics, have one too.
    """
    for which, names in (("higher", HIGHER), ("lower", LOWER), ("none", NEITHER)):
        if any(re.fullmatch(name, metric) for name in names):
            return which
    return None


def sign(metric: str) -> int:
    """1 where more is better, -1 where less is, 0 where neither is or nobody has said."""
    return {"higher": 1, "lower": -1}.get(direction(metric) or "", 0)
