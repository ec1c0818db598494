"""The model card of a pushed run: Markdown, with what the hub reads at its head."""

import json
from typing import TYPE_CHECKING

from vae import config as configs
from vae import run_files
from vae.reports.render import HERE
from vae.reports.tables import metrics_table

if TYPE_CHECKING:
    from vae.evaluation.trained import Trained


def text(run: "Trained", address: str, licence: str, with_data: bool) -> str:
    """What the card says of a run.

    Args:
      address: hub:USER/NAME, or a folder.
      licence: the hub's name of one; "" leaves it out.
      with_data: whether the run's own data are beside the card.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    config, described = run.config, run.described
    found = run_files.read_evaluation(run.workdir)
    environment = run_files.read_environment(run.workdir)
    shared = json.loads(configs.to_json(config))
    for group, key in (("data", "path"), ("data", "dir"), ("train", "init_from")):
        del shared[group][key]  # of the machine
    sizes = described.get("sizes", {})
    environment_of = Environment(
        loader=FileSystemLoader(HERE / "templates"), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return environment_of.get_template("card.md").render(
        address=address,
        name=address.rpartition("/")[2],
        licence=licence,
        data=described,
        encoder=config.model.encoder,
        decoder=config.model.decoder,
        latents=run.latent_size,
        likelihood=config.model.likelihood,
        objective=config.objective.name,
        epochs=config.train.epochs,
        step=run.step,
        split=found["split"] if found else "",
        examples=f"{found['num_examples']:,}" if found else "",
        scores=metrics_table(found, markdown=True) if found else "",
        version=f" {described['version']}" if described.get("version") else "",
        shape="×".join(map(str, run.shape)),
        sizes="".join(f", {count:,} {split}" for split, count in sizes.items()),
        done=described.get("done", []),
        own=config.data.name == "files",
        with_data=with_data,
        command=environment.get("command", ""),
        revision=environment.get("git_revision", "unknown"),
        versions="".join(
            f", {package} {version}" for package, version in environment.get("versions", {}).items()
        ),
        config=json.dumps(shared, indent=2),
    )
