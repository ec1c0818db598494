"""Metrics that `evaluate` computes where a config or a command names their group.

Each function here is a group: it takes a `Subject`, and returns metrics by name and the arrays that
`evaluation.json` holds. Each imports what it needs, so that those not asked for cost nothing, and
the names of the groups are read without JAX.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from vae import npz
from vae.errors import UserError, needed
from vae.evaluation.subject import SEED, Subject, spread
from vae.metrics import Kind, Metric, by_name

if TYPE_CHECKING:
    from vae.evaluation.trained import Trained

INFERENCE = Kind("gap_inference", "Inference gap", "down", "nats")
APPROXIMATION = Kind("gap_approximation", "Approximation gap", "down", "nats")
AMORTISATION = Kind("gap_amortisation", "Amortisation gap", "down", "nats")
BITS_NET = Kind("bits_net", "Length of a lossless file", "down", "bits per dimension")
BITS_PNG = Kind("bits_png", "Length of PNG files", "down", "bits per dimension")
BITS_FIRST = Kind("bits_first", "Random bits that a lossless file begins with", "down")
GAP_IWAE = Kind("gap_iwae_{:d}", "Gap of the IWAE bound, K = {:,}", "down", "nats")
IMPUTED_FROM, IMPUTED = 1_000, 100  # draws of z, and of a cell
Found = tuple[dict[str, Metric], dict[str, np.ndarray]]


def aggregate(subject: Subject) -> Found:
    """Mutual information, and the aggregate posterior's distance from the prior."""
    from vae.estimators import aggregate as aggregated

    run = subject.run
    if run.facts.conditional:
        raise UserError("eval.metrics: the aggregate posterior of a conditional model is not one")
    if len(subject.x) < 2:
        raise UserError(
            f"eval.metrics: aggregate compares examples, and the {subject.split} split has one"
        )
    found = aggregated.measure(
        run.compiled.made(aggregated.Aggregate), run.variables, subject.x, subject.key,
        subject.settings.batch_size, run.latent_size,
    )  # fmt: skip
    drawn = f"{len(found['aggregate_mmd']):,} draws of q(z) of {len(subject.x):,} examples"
    most = np.log(len(subject.x))
    units = {
        aggregated.INFORMATION: f"nats between z and an example's number, {drawn}; at most "
        f"log N = {most:.4g}",
        aggregated.KL: f"nats, KL(q(z) || p(z)), {drawn}",
        aggregated.MMD: f"squared discrepancy of q(z) and p(z), inverse multiquadrics, {drawn}",
    }
    known = {kind: unit for kind, unit in units.items() if kind.name in found}
    return by_name(*(kind(found[kind.name], unit) for kind, unit in known.items())), {}


def ais(subject: Subject) -> Found:
    """-log p(x) by AIS, and the rate-distortion curve along its path."""
    from vae.estimators import ais as annealed

    annealing, found = subject.annealing, subject.annealed
    over = f"first {len(found['log_p']):,} examples, {annealing.describe()}"
    metrics = by_name(
        annealed.NLL(-found["log_p"], f"nats, {over}"),
        annealed.ACCEPTANCE(found["acceptance"], f"share, {over}"),
        annealed.EFFECTIVE(found["effective"], f"chains, {over}"),
    )
    rate = -annealing.betas * found["distortion"] - found["log_z"]
    kept = np.unique(np.linspace(0, len(annealing.betas) - 1, 101).astype(int))
    return metrics, {
        "ais_beta": annealing.betas[kept],
        "ais_rate": rate.mean(0)[kept],
        "ais_distortion": found["distortion"].mean(0)[kept],
    }


def bdmc(subject: Subject) -> Found:
    """Bounds on log p(x) from both sides, of examples that the model draws."""
    from vae.estimators import ais as annealed

    annealing, num = subject.annealing, subject.settings.ais_examples
    found = subject.apply(subject.run.compiled(annealed.bidirectional, annealing), num)
    over = f"{len(found['lower']):,} examples drawn from the model, {annealing.describe()}"
    return by_name(
        annealed.LOWER(found["lower"], f"nats, log p(x) from below, {over}"),
        annealed.UPPER(found["upper"], f"nats, log p(x) from above, {over}"),
        annealed.GAP(found["upper"] - found["lower"], f"nats, {over}"),
    ), {}


def gaps(subject: Subject) -> Found:
    """log p(x) - ELBO, split into approximation and amortisation gap; and log p(x) - the IWAE
    bound."""
    from vae.estimators.gaps import local_elbo

    settings, num = subject.settings, subject.settings.ais_examples
    annealing, log_p = subject.annealing, subject.annealed["log_p"]
    bound = subject.run.compiled(local_elbo, settings.local_steps, settings.local_draws)
    elbo = subject.apply(bound, num)
    over = f"nats, first {len(log_p):,} examples, log p(x) by {annealing.describe()}"
    local = f"{over}; q of each by {settings.local_steps:,} steps of Adam, {settings.local_draws} "
    local += "draws a step"
    found = [
        INFERENCE(log_p - elbo["amortised"], over),
        APPROXIMATION(log_p - elbo["local"], local),
        AMORTISATION(elbo["local"] - elbo["amortised"], local),
    ]
    for samples in sorted(settings.iwae_samples):
        nll = subject.per_example[f"nll_iwae_{samples}"][: len(log_p)]
        found.append(GAP_IWAE[samples](log_p + nll, over))
    return by_name(*found), {}


def disentanglement(subject: Subject) -> Found:
    """Scores of the posterior means against the factors that made the data."""
    from vae.scores.disentanglement import scores

    run, num = subject.run, subject.settings.codes
    factors = run.dataset.splits[subject.split].factors
    if factors is None:
        raise UserError(f"eval.metrics: disentanglement needs factors, and {_named(run)} has none")
    rows = spread(len(subject.x), num)
    context = None if subject.context is None else subject.context[rows]
    mean, std = run.encode(subject.x[rows], context)
    return scores(mean, np.asarray(factors[rows]), std, seed=SEED), {}


def probes(subject: Subject) -> Found:
    """How well simple predictors tell labels from the posterior means."""
    from vae.scores.probes import few_label_probe, knn_probe, linear_probe

    run, num = subject.run, subject.settings.codes
    parts = [run.dataset.splits[part] for part in ("train", subject.split)]
    if any(part.labels is None for part in parts):
        raise UserError(f"eval.metrics: probes need labels, and {_named(run)} has none")
    if run.facts.conditional:
        raise UserError("eval.metrics: probes are of codes of x alone, and this model sees more")
    of_train, of_split = (part.known("labels") for part in parts)
    rows = spread(len(of_train), num)
    train = run.encode(run.seen("train")[rows])[0], np.asarray(of_train[rows])
    test = subject.posterior_mean, np.asarray(of_split[:])
    least = np.min(np.unique(train[1], return_counts=True)[1])
    few = [count for count in (1, 10, 100) if count <= least]
    found = linear_probe(*train, *test) | knn_probe(*train, *test)
    return found | few_label_probe(*train, *test, labels=few, seed=SEED), {}


def samples(subject: Subject) -> Found:
    """Samples beside the split: draws of p(x|z) where x is discrete, else its means."""
    from vae.scores import samples as sampled

    run, settings = subject.run, subject.settings
    if run.described["observed"] == "columns":
        raise UserError(
            f"eval.metrics: samples are compared as numbers of one kind, and {_named(run)} has "
            "columns of several and holes: leave samples out"
        )
    x, extractor = subject.training, subject.extractor
    drawn = run.facts.discrete
    num = settings.samples
    context = run.contexts(num)
    made = run.sample(num, SEED, draw=drawn, context=context, sampler=settings.sampler)
    made = run.within(made)
    found = sampled.scores(made, subject.x[:num], x, extractor, seed=SEED)
    what = "draws of p(x|z)" if drawn else "means of p(x|z)"
    what += "" if settings.sampler == "prior" else f", z by {settings.sampler}"
    return by_name(*(dataclasses.replace(m, unit=f"{m.unit}; {what}") for m in found.values())), {}


def reconstructions(subject: Subject) -> Found:
    """Means of p(x|z) at the mean of q(z|x) beside the split's images, and codes in use."""
    from vae.scores import latents, reconstructions

    run, x = subject.run, subject.x
    kind = run.described["observed"]
    if kind not in ("grey", "binary") or len(run.shape) != 3:
        raise UserError(
            f"eval.metrics: reconstructions are compared as images in [0, 1], and {_named(run)} "
            "has none"
        )
    made = run.within(run.reconstruct(x, subject.context))
    found = reconstructions.scores(made, x, subject.extractor, seed=SEED)
    if run.config.objective.features:  # it is judged by what it was taught by
        name, taught = reconstructions.FEATURES.name, run.config.objective.features
        unit = f"{found[name].unit}; training compared features too: {taught}"
        found[name] = dataclasses.replace(found[name], unit=unit)
    if run.facts.codes:
        indices = run.compiled.codes(run.variables, x, subject.key, subject.settings.batch_size)
        found |= latents.usage(indices, run.facts.codes, run.facts.streams)
    return found, {}


def anomaly(subject: Subject) -> Found:
    """How well each anomaly score tells examples of label 1 from those of label 0."""
    from vae.evaluation import anomaly_scores
    from vae.scores.anomaly import metrics

    run = subject.run
    column = run.dataset.splits[subject.split].labels
    labels = np.asarray([] if column is None else column)
    if not {0, 1} == set(np.unique(labels).tolist()):
        raise UserError(
            f"eval.metrics: anomaly needs labels 0 and 1 in the {subject.split} split, and "
            f"{_named(run)} has others or none"
        )
    scored = anomaly_scores.scores(run, subject.x, subject.context)
    usual = anomaly_scores.scores(run, run.examples("validation"), run.context("validation"))
    usual = {f"validation_{name}": values for name, values in usual.items()}
    npz.write(run.workdir / "anomaly.npz", scored | usual | {"labels": labels})
    found = [metrics(values, labels, name) for name, values in scored.items()]
    return by_name(*(metric for of in found for metric in of.values())), {}


def recommendation(subject: Subject) -> Found:
    """Recall and NDCG of held-back likes, given the others."""
    from vae.data.likes import hold_back
    from vae.evaluation.recommend import score
    from vae.scores import ranking

    run = subject.run
    if not run.facts.shares:
        raise UserError("eval.metrics: recommendation is of likes, by model.likelihood=multinomial")
    data = run.config.data
    shown, held = hold_back(subject.x, seed=data.split if data.leave_items else SEED)
    return ranking.metrics(ranking.measure(lambda likes: score(run, likes), shown, held)), {}


def molecules(subject: Subject) -> Found:
    """Molecules drawn from the prior beside those of the split; how many are reconstructed from
    their latents; and how well the regressor, if any, predicts their properties."""
    from vae.evaluation import molecules as of_molecules
    from vae.scores import smiles

    run, num = subject.run, subject.settings.samples
    made = of_molecules.of_run(run, run.sample(num, seed=SEED, draw=True))
    reference = of_molecules.of_run(run, subject.x[:num])
    training = of_molecules.of_run(run, run.seen("train")[:])
    found = smiles.scores(made, reference, training)
    same = (run.reconstruct(subject.x[:num]) == subject.x[:num]).all(axis=1)
    whole = f"share of {len(same):,} examples, every id, from the mean of q"
    found |= by_name(of_molecules.RECONSTRUCTION(same, whole))
    if run.facts.predicts:
        known = needed(run.dataset.splits[subject.split].context, "context")
        guessed = run.predict(subject.posterior_mean)
        left = np.square(known - guessed).sum(0) / np.square(known - known.mean(0)).sum(0)
        for column, share in enumerate(left):
            unit = f"share of the variance of column {column} of the context, {len(known):,}"
            found |= by_name(of_molecules.R2[column].of(1.0 - share, unit=unit))
    return found, {}


def code(subject: Subject) -> Found:
    """The length of the file that `compress` writes of the split, beside its bound."""
    from vae.coding import others
    from vae.evaluation import compress

    run, (num, *shape) = subject.run, subject.x.shape
    coder = compress.coder(
        run, compress.PRECISION, compress.STREAMS, compress.highest(subject.x)
    )
    levels = compress.levels(subject.x, coder.top, f"the {subject.split} split")
    coded = coder.push(levels, SEED)
    values, unit = num * int(np.prod(shape)), "bits per dimension"
    over = f"{num:,} examples, {compress.PRECISION} bits a latent, {compress.STREAMS} streams"
    found = by_name(
        BITS_NET.of(coded.net / values, unit=f"{unit}, {over}, without the first random bits"),
        BITS_FIRST.of(coded.first / values, unit=f"{unit} of random bits to begin with, {over}"),
    )
    if others.are_pictures(tuple(shape)):
        length = 8 * others.picture_bytes(levels, "PNG") / values
        found |= by_name(BITS_PNG.of(length, unit=f"{unit}, a file for each of {num:,} images"))
    return found, {}


def imputation(subject: Subject) -> Found:
    """How well the cells are filled that `data.missing` has hidden."""
    from vae.columns import coded
    from vae.evaluation import missing_cells
    from vae.scores import imputation as filled_cells

    run = subject.run
    truth, kinds = run.dataset.splits[subject.split].hidden, run.column_kinds
    if truth is None:
        raise UserError("eval.metrics=imputation asks for hidden cells: set data.missing above 0")
    spread = filled_cells.spread(run.restore(subject.training))
    filled, drawn = (
        run.restore(missing_cells.filled(run, subject.x, *sizes, SEED)[0])
        for sizes in ((IMPUTED_FROM, 0), (IMPUTED_FROM, IMPUTED))
    )
    return filled_cells.scores(truth, filled[0], coded(kinds), spread, drawn), {}


def table(subject: Subject) -> Found:
    """Made rows beside those of the split, in the table's own numbers."""
    from vae.columns import coded
    from vae.scores import tables

    run = subject.run
    made = run.restore(run.sample(len(subject.x), SEED, draw=True))
    test, train = run.restore(subject.x), run.restore(subject.training)
    return tables.scores(tables.Tables(made, test, train, coded(run.column_kinds)), SEED), {}


def _named(run: "Trained") -> str:
    return f"the data set {run.dataset.name}"


GROUPS = {
    "aggregate": aggregate,
    "ais": ais,
    "bdmc": bdmc,
    "gaps": gaps,
    "disentanglement": disentanglement,
    "probes": probes,
    "samples": samples,
    "reconstructions": reconstructions,
    "anomaly": anomaly,
    "recommendation": recommendation,
    "molecules": molecules,
    "code": code,
    "imputation": imputation,
    "table": table,
}
