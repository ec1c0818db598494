"""The report of one run, read from its directory: figures/* and report.html."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae import config as configs
from vae import run_files, runs
from vae.reports import figures, interactive, markup, stills, summary
from vae.reports.figures import Gallery
from vae.reports.markup import Block, Cell, Noted, Section, Table
from vae.reports.tables import typeset_metric
from vae.reports.verdict import verdict
from vae.reports.view import View

if TYPE_CHECKING:
    from vae.evaluation.trained import Trained

MOST_DRAWN = 400  # sequences, for a picture of molecules


def report(workdir: str | Path, formats: Sequence[str] = ("png",)) -> Path:
    """Writes the figures and the page of the run in a directory: `report_run` of what it holds."""
    import vae

    gallery = Gallery(Path(workdir), formats)  # refuses a wrong format before anything is loaded
    return report_run(vae.load(workdir), Path(workdir), gallery.formats)


def report_run(run: "Trained", workdir: Path, formats: Sequence[str] = ("png",)) -> Path:
    """Writes the figures and the page of a trained run.

    Args:
      formats: of the figures, "png" and "pdf"; the page holds PNGs, which are always written.

    Returns:
      The path of `report.html`.

    Raises:
      UserError: a damaged file.
    """
    gallery = Gallery(workdir, formats)
    evaluation = run_files.read_evaluation(workdir)
    records = runs.read_metrics(workdir)
    split = evaluation["split"] if evaluation else run.config.eval.split
    view = View(run, split, evaluation)
    is_image = view.x.ndim == 4
    text = markup.document(
        title=workdir.resolve().name,
        summary=about(run.config, run.shape, run.step, run.described.get("binarized", "")),
        lead=_lead(run, evaluation, records, workdir),
        sections=[
            *_training(records, run.config.objective.name, gallery),
            *(_pictures(view, gallery) if is_image else [_no_pictures(run, view.x, gallery)]),
            *_latents(run, evaluation, gallery),
            *_annealed(evaluation, gallery),
            *_all_metrics(evaluation),
        ],
        config=run.config,
        environment=run_files.read_environment(workdir),
        base=configs.default(),
    )
    return markup.write(workdir / "report.html", text)


def _lead(
    run: "Trained",
    evaluation: Mapping[str, Any] | None,
    records: Sequence[Mapping[str, Any]],
    workdir: Path,
) -> list[str]:
    """The verdict and the numbers."""
    said = verdict(evaluation, records, runs.failure(workdir))
    sentences = [sentence.text for sentence in said if not sentence.is_problem]
    problems = {sentence.text: sentence.remedy for sentence in said if sentence.is_problem}
    if evaluation and evaluation["step"] != run.step:
        problems[
            f"The numbers are of step {evaluation['step']:,} and the pictures of step "
            f"{run.step:,}: evaluate again, then report."
        ] = ""
    lead = [markup.verdict(sentences, problems)] if said or problems else []
    if evaluation is None:
        return [*lead, markup.not_evaluated(str(workdir))]
    names = summary.first(
        evaluation["metrics"], summary.tightest_nll([evaluation]), ("run", "sweep")
    )
    return [*lead, markup.numbers(evaluation, names)]


def _training(
    records: Sequence[Mapping[str, Any]], objective: str, gallery: Gallery
) -> list[Section]:
    if not any(record.get("split") in ("train", "validation") for record in records):
        return [Section("Training", "metrics.jsonl holds nothing to draw.")]
    path = gallery.save(figures.training_curves(records, _titles(objective)), "training")
    caption = (
        "Means over examples. The loss is what was minimised; ELBO, distortion and rate are at "
        "β = 1 whatever was. Axes are scaled to what follows the first tenth of training."
    )
    return [Section("Training", caption, path, is_chart=True)]


def _titles(objective: str) -> dict[str, str]:
    """Of its terms: kept, as objectives import much that a page needs for nothing else."""
    from vae import programs

    def find() -> dict[str, str]:
        from vae import objectives
        from vae.objectives import facts

        return facts.titles(getattr(objectives, objective, None))

    return programs.value("titles", objective, find)


def _pictures(view: View, gallery: Gallery) -> list[Section | Block]:
    """What the model makes of images: parts to move, and still figures as files."""
    paths = {name: gallery.save(figure, name) for name, figure in stills.stills(view).items()}
    caption = (
        f"The first {stills.num_reconstructed(view)} {view.split} examples, and under each the "
        "mean of p(x|z) at the mean of q(z|x)."
    )
    *first, ranked = interactive.sections(view)
    found: list[Section | Block] = [*first]
    found.append(Section("Reconstructions", caption, paths["reconstructions"]))
    if "arithmetic" in paths:
        caption = (
            f"{view.split.capitalize()} examples x, and the mean of p(x|z) at the mean of q(z|x), "
            "less the mean over the example's class and plus that over each class: what z keeps of "
            "an example when its class is exchanged."
        )
        found.append(Section("Attribute arithmetic", caption, paths["arithmetic"]))
    return [*found, ranked]


def _no_pictures(run: "Trained", x: np.ndarray, gallery: Gallery) -> Section:
    from vae.evaluation import molecules
    from vae.scores import smiles

    if molecules.are(run):
        made = [s for s in molecules.of_run(run, run.sample(MOST_DRAWN, draw=True)) if s]
        if made:
            path = gallery.save(figures.as_it_is(smiles.picture(made[:30])), "molecules")
            text = f"The first {len(made[:30])} of {len(made)} molecules among {MOST_DRAWN} "
            return Section("Molecules", text + "sequences drawn from the prior.", path)
    text = f"The data are vectors of {x.shape[-1]} values: there are no images to show."
    return Section("Reconstructions and samples", text)


def _latents(
    run: "Trained", evaluation: Mapping[str, Any] | None, gallery: Gallery
) -> list[Section]:
    if evaluation is None:
        return []
    arrays = evaluation.get("arrays", {})
    if "kl_per_layer" in arrays:
        return [_layers(np.asarray(arrays["kl_per_layer"]), evaluation, gallery)]
    if not {"kl_per_latent", "posterior_mean_variance"} <= arrays.keys():
        told = "posterior_mean_variance" not in arrays
        text = "Not in evaluation.json." if told else "The KL is known of all latents together."
        return [Section("KL per latent", text)]
    figure = figures.kl_per_latent(
        np.asarray(arrays["kl_per_latent"]),
        np.asarray(arrays["posterior_mean_variance"]),
        run.config.eval.active_threshold,
    )
    caption = (
        f"Means over the {evaluation['num_examples']:,} {evaluation['split']} examples. A latent "
        "is active where the variance of its posterior mean over the data is above the threshold "
        "(Burda et al. 2015); the others are grey."
    )
    path = gallery.save(figure, "kl_per_latent")
    return [Section("KL per latent", caption, path, is_chart=True)]


def _layers(kl: np.ndarray, evaluation: Mapping[str, Any], gallery: Gallery) -> Section:
    sizes = evaluation["arrays"]["latents_per_layer"]
    path = gallery.save(figures.kl_per_layer(kl, sizes), "kl_per_layer")
    caption = (
        f"Means over the {evaluation['num_examples']:,} {evaluation['split']} examples, from the "
        "layer next to x to the top; under each its number of latents. They add up to the rate."
    )
    return Section("KL per layer", caption, path, is_chart=True)


def _annealed(evaluation: Mapping[str, Any] | None, gallery: Gallery) -> list[Section]:
    """The rate-distortion curve of the decoder, where AIS was asked for."""
    arrays = evaluation.get("arrays", {}) if evaluation else {}
    if evaluation is None or "ais_rate" not in arrays:
        return []
    metrics = evaluation["metrics"]
    encoder = metrics["rate"]["value"], metrics["distortion"]["value"]
    curve = (np.asarray(arrays[name]) for name in ("ais_rate", "ais_distortion"))
    path = gallery.save(figures.annealed_curve(*curve, encoder), "annealed")
    caption = (
        "The least distortion that this decoder can have at a rate, whatever the encoder: the path "
        "of annealed importance sampling from the prior to the true posterior, the point at its "
        f"end (Huang et al. 2020); {metrics['nll_ais']['unit'].removeprefix('nats, ')}. The "
        "encoder's point is of all examples; what lies between is its gap."
    )
    return [Section("Rate and distortion", caption, path, is_chart=True)]


def _all_metrics(evaluation: Mapping[str, Any] | None) -> list[Table]:
    if evaluation is None:
        return []
    rows: list[list[Cell]] = [
        [Noted(metric["label"], metric["unit"]), typeset_metric(metric)]
        for metric in evaluation["metrics"].values()
    ]
    caption = "± is the standard error over examples, where the unit says nothing else."
    return [Table("All metrics", caption, ("Metric", "Value"), rows)]


def about(config: Any, shape: tuple[int, ...], step: int, binarized: str = "") -> str:
    """A run in a line."""
    values = f", grey levels binarised {binarized}" if binarized else ""
    return (
        f"{config.data.name}, {'×'.join(map(str, shape))}{values} · "
        f"{config.model.encoder} encoder, {config.model.decoder} decoder, "
        f"{config.model.latent_size} latents, "
        f"{config.model.likelihood.replace('_', ' ')} likelihood · {config.objective.name}, "
        f"β = {config.objective.beta:g} · step {step:,}"
    )
