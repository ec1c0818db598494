"""The report of one run, read from its directory: figures/* and report.html."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vae import config as configs
from vae import parts as part_of
from vae import run_files, runs
from vae.reports import (
    figures,
    interactive,
    latent_figures,
    projection,
    render,
    stills,
    summary,
    vectors,
)
from vae.reports.figures import Gallery
from vae.reports.render import Cell, Table
from vae.reports.tables import typeset_metric
from vae.reports.verdict import Sentence, verdict
from vae.reports.view import View

if TYPE_CHECKING:
    from vae.evaluation.trained import Trained

Values = Mapping[str, Any]
MOST_DRAWN = 400  # sequences, for a picture of molecules
MOST_MOLECULES = 30  # in that picture


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
    view = View(run, evaluation["split"] if evaluation else run.config.eval.split, evaluation)
    config = dict(configs.flatten(run.config))
    _draw_training(records, run.config.objective.name, gallery)
    return render.write(
        workdir / "report.html",
        "run.html",
        run_files.read_environment(workdir),
        title=workdir.resolve().name,
        binarized=run.described.get("binarized"),
        said=_said(run, evaluation, records, workdir),
        workdir=str(workdir),
        of_sweep=_of_sweep(workdir.resolve()),
        view=view,
        own=_own_figures(run, gallery),
        done=run.described.get("done", ()),
        figures=gallery.saved,
        config=config,
        differing=_differing(config),
        **_examples(view, gallery),
        projection=projection.draw(view, gallery),
        **_evaluated(run, evaluation, gallery),
    )


def _of_sweep(workdir: Path) -> Cell | None:
    """What leads back from a trial to its sweep's page, which may not have been written yet."""
    directory = workdir.parent.parent
    if workdir.parent.name != "trials" or not (directory / "sweep.json").exists():
        return None
    return Cell(directory.name, "../../report.html")


def _said(
    run: "Trained", evaluation: Values | None, records: Sequence[Values], workdir: Path
) -> list[Sentence]:
    said = verdict(evaluation, records, runs.failure(workdir))
    if evaluation and evaluation["step"] != run.step:
        text = (
            f"The numbers are of step {evaluation['step']:,} and the pictures of step "
            f"{run.step:,}: evaluate again, then report."
        )
        said.append(Sentence(text, is_problem=True))
    return said


def _differing(config: Values) -> Table:
    """The keys that are not as in configs/base.py."""
    base = {key: render.setting(value) for key, value in configs.flatten(configs.default())}
    here = {key: render.setting(value) for key, value in config.items()}
    rows = [[k, value, base.get(k, "–")] for k, value in here.items() if value != base.get(k)]
    return Table(("Differs from configs/base.py", "here", "there"), rows)


def _draw_training(records: Sequence[Values], objective: str, gallery: Gallery) -> None:
    if any(record.get("split") in ("train", "validation") for record in records):
        gallery.save(figures.training_curves(records, _titles(objective)), "training")


def _titles(objective: str) -> dict[str, str]:
    """Of its terms: kept, as objectives import much that a page needs for nothing else."""
    from vae import programs

    def find() -> dict[str, str]:
        from vae import objectives
        from vae.objectives import facts

        return facts.titles(getattr(objectives, objective, None))

    if part_of.is_outside(objective):
        from vae.objectives import facts

        return facts.titles(part_of.outside(objective, "objective.name"))
    return programs.value("titles", objective, find)


def _own_figures(run: "Trained", gallery: Gallery) -> list[dict[str, Any]]:
    """The figures that `eval.figures` names: title, caption and path of each, by what its function
    says of itself."""
    found = []
    for number, name in enumerate(run.config.eval.figures):
        draw = part_of.outside(name, "eval.figures")
        title, _, caption = (draw.__doc__ or name).strip().partition("\n")
        path = gallery.save(draw(run), f"own_{number}")
        found.append({"title": title.rstrip("."), "caption": caption.strip(), "path": path})
    return found


def _examples(view: View, gallery: Gallery) -> dict[str, Any]:
    """What the model makes of its examples, by what they are: one of these parts."""
    if view.x.ndim == 4:
        found = _pictures(view, gallery)
    elif view.run.described["observed"] == "tokens":
        found = _molecules(view.run, gallery) or vectors.sequences(view)
    else:
        found = vectors.parts(view, gallery)
    return {"movable": None, "vectors": None, "sequences": None, **found}


def _pictures(view: View, gallery: Gallery) -> dict[str, Any]:
    """What the model makes of images: parts to move, and still figures as files."""
    for name, figure in stills.stills(view).items():
        gallery.save(figure, name)
    return {"movable": interactive.parts(view), "reconstructed": stills.num_reconstructed(view)}


def _molecules(run: "Trained", gallery: Gallery) -> dict[str, Any]:
    """What a model of molecules draws; {} where it is none, or draws none."""
    from vae.evaluation import molecules
    from vae.scores import smiles

    made: list[str] = []
    if molecules.are(run):
        made = [s for s in molecules.of_run(run, run.sample(MOST_DRAWN, draw=True)) if s]
    shown = made[:MOST_MOLECULES]
    if not shown:
        return {}
    gallery.save(figures.as_it_is(smiles.picture(shown)), "molecules")
    return {"molecules": {"shown": len(shown), "made": len(made), "drawn": MOST_DRAWN}}


def _evaluated(run: "Trained", evaluation: Values | None, gallery: Gallery) -> dict[str, Any]:
    """What the page shows of evaluation.json; draws its figures."""
    if evaluation is None:
        return {"evaluation": None}
    metrics = evaluation["metrics"]
    arrays = {name: np.asarray(array) for name, array in evaluation.get("arrays", {}).items()}
    kl, variance = arrays.get("kl_per_latent"), arrays.get("posterior_mean_variance")
    if "kl_per_layer" in arrays:
        sizes = evaluation["arrays"]["latents_per_layer"]
        gallery.save(latent_figures.kl_per_layer(arrays["kl_per_layer"], sizes), "kl_per_layer")
    elif kl is not None and variance is not None:
        threshold = run.config.eval.active_threshold
        gallery.save(latent_figures.kl_per_latent(kl, variance, threshold), "kl_per_latent")
    if "ais_rate" in arrays:
        encoder = metrics["rate"]["value"], metrics["distortion"]["value"]
        curve = arrays["ais_rate"], arrays["ais_distortion"]
        gallery.save(latent_figures.annealed_curve(*curve, encoder), "annealed")
    rows: list[list[str | Cell]] = [
        [Cell(metric["label"], note=metric["unit"]), typeset_metric(metric)]
        for metric in metrics.values()
    ]
    return {
        "evaluation": evaluation,
        "first": summary.first(metrics, summary.tightest_nll([evaluation]), ("run", "sweep")),
        "metrics": Table(("Metric", "Value"), rows),
    }
