"""The command line: the only place with flags. A verb is one function call."""

import sys
from pathlib import Path
from typing import Any

from vae import arguments
from vae.choices import nearest
from vae.command import ROOT, Flag, Verb, guarded, usage, verb_usage
from vae.errors import UserError


def train(values: Any) -> None:
    import vae
    from vae.distributed import initialize

    initialize(values.coordinator, values.num_processes, values.process_id)
    vae.train(values.config, values.workdir, values.extend)


def evaluate(values: Any) -> None:
    import vae
    from vae.reports.tables import metrics_table

    metrics = None if values.metrics is None else values.metrics.split(",")
    result = vae.evaluate(values.workdir, values.split, metrics)
    print(metrics_table(result))


def sample(values: Any) -> None:
    from vae.reports.sampling import sample

    for path in sample(values.workdir, values.num, values.seed, values.sampler):
        print(path)


def report(values: Any) -> None:
    from vae.reports import compare, page
    from vae.sweeps import results

    formats = values.format.split(",")
    if values.compare:
        print(compare.compare(values.compare, values.workdir or "runs/compare", formats))
        return
    if not values.workdir:
        raise UserError("report needs --workdir, or --compare and two run directories")
    if (Path(values.workdir) / "sweep.json").exists():
        print(results.report(values.workdir, formats))
        return
    print(page.report(values.workdir, formats))


def data(values: Any) -> None:
    from vae.first_look import first_look

    found = first_look(values.file, values.label or "", values.kind or "")
    print(found.text, flush=True)
    found.misfits.check(values.file)


def prepare(values: Any) -> None:
    from vae.data import prepare

    print(prepare(values.name, values.data_dir, getattr(values, "from")))


def sweep(values: Any) -> None:
    from vae.sweeps import grid, launch

    parts = [grid.parse(text, values.config) for text in values.sweep]
    if values.search:
        launch.search(
            values.config,
            dict(parts),
            values.search,
            values.trials,
            values.workdir,
            values.launcher,
            values.slots,
            slurm_options(values),
            values.halving,
        )
        return
    points = grid.points(parts) or grid.described(values.config_file)
    launch.sweep(
        values.config,
        points or [{}] * (values.seeds > 1),
        values.seeds,
        values.workdir,
        values.launcher,
        values.slots,
        slurm_options(values),
        values.dry_run,
        values.extend,
    )


def detect(values: Any) -> None:
    from vae.evaluation.detect import detect

    found = detect(values.workdir, values.input, values.output, values.score, values.share)
    print(
        f"{found['marked']:,} of {found['examples']:,} examples marked: {values.score} above "
        f"{found['threshold']:.5g}, as at most {found['share']:.2g} of ordinary ones are\n"
        f"{values.output}"
    )


def generate(values: Any) -> None:
    from vae.evaluation.molecules import generate

    found = generate(
        values.workdir, values.num, values.output, values.seed, values.temperature
    )
    print(f"{found['written']:,} of {found['drawn']:,} are molecules\n{values.output}")


def recommend(values: Any) -> None:
    from vae.evaluation.recommend import recommend

    for title, share in recommend(values.workdir, values.user, values.num):
        print(f"{share:8.2%}  {title}")


def reproduce(values: Any) -> None:
    sys.path.insert(0, str(ROOT))
    try:
        from experiments import reproduce
    except ModuleNotFoundError:
        raise UserError(f"reproduce needs the project's own folder: {ROOT} has none") from None

    launcher, data_dir = values.launcher or "", values.data_dir or ""
    reproduce.reproduce(values.name, values.scale, values.workdir, launcher, data_dir)


def slurm_options(values: Any) -> Any:
    from vae.sweeps.slurm import Options

    return Options(values.partition or "", values.gpus, values.cpus, values.minutes)


def quickstart(values: Any) -> None:
    from vae.sweeps.quickstart import quickstart

    quickstart(values.workdir)


EXTEND = Flag(
    "extend", "go on with more train.epochs where a schedule depends on their number", False
)
WORKDIR = Flag("workdir", "run directory", required=True)
LABEL = Flag("label", "column of a table that is labels, none for none")
VERBS = {
    "data": Verb(
        "look at your own data before training: what they are, what is wrong, what would be done",
        (
            LABEL,
            Flag("kind", "what the numbers are: binary, grey, real, counts or tokens"),
        ),
        data,
        argument="file",
    ),
    "prepare": Verb(
        "write a data set where runs find it, from the internet or from local original files",
        (
            Flag("data_dir", "TFDS data directory to write to", required=True),
            Flag("from", "folder with the original files; without it they are downloaded"),
        ),
        prepare,
        argument="name",
    ),
    "train": Verb(
        "train a config, resuming if the run directory holds the same config",
        (
            Flag("data", "your own data, a file or a folder: --config may then be left out"),
            LABEL,
            Flag("workdir", "run directory; by default runs/ and a name made from the config"),
            EXTEND,
            Flag("coordinator", "host:port of process 0, for several processes outside Slurm"),
            Flag("num_processes", "number of processes, with --coordinator", kind=int),
            Flag("process_id", "number of this process, with --coordinator", kind=int),
        ),
        train,
        config=True,
    ),
    "sweep": Verb(
        "train a grid of configs, by default as one program, then evaluate and report; resumable",
        (
            Flag("sweep", "KEY=V1,V2,... or KEY=log(LOW,HIGH,COUNT); repeat it for a product", ()),
            Flag("seeds", "seeds of each point, counted from the config's", 1),
            Flag("workdir", "sweep directory; by default runs/ and a name made from the sweep"),
            EXTEND,
            Flag("launcher", "population, processes or slurm", "population"),
            Flag("slots", "trials at a time; 0: as many as fit", 0),
            Flag("search", "tpe or random: search the space that --sweep gives, with Optuna"),
            Flag("trials", "trials of a search", 0),
            Flag("halving", "successive halving: keep the better 1/N of a batch; 0: off", 0),
            Flag("dry_run", "list the trials and the plan, and do nothing", False),
            Flag("partition", "Slurm: partition"),
            Flag("gpus", "Slurm: GPUs a trial", 0),
            Flag("cpus", "Slurm: cores a trial", 1),
            Flag("minutes", "Slurm: time limit of a trial", 60),
        ),
        sweep,
        config=True,
    ),
    "evaluate": Verb(
        "compute every metric that the run's config names",
        (
            WORKDIR,
            Flag("split", "validation or test; by default the config's eval.split"),
            Flag("metrics", "groups beside the bounds, A,B; by default the config's eval.metrics"),
        ),
        evaluate,
    ),
    "sample": Verb(
        "draw from the prior, or from a density fitted to the latents: a grid and an .npz",
        (
            WORKDIR,
            Flag("num", "number of samples", 64),
            Flag("seed", "seed of the draws", 0),
            Flag("sampler", "prior, normal, aggregate, mixture, flow or second_stage", "prior"),
        ),
        sample,
    ),
    "report": Verb(
        "draw the figures and write report.html: of a run, a sweep, or runs beside each other",
        (
            Flag("workdir", "run or sweep directory; with --compare, where its page goes"),
            Flag("compare", "run directories to put beside each other: --compare A B ...", ()),
            Flag("format", "of the figures beside the page: png, pdf or png,pdf", "png"),
        ),
        report,
        rest="compare",
    ),
    "detect": Verb(
        "anomaly scores of a table by a trained run, or by an ensemble of several",
        (
            Flag("workdir", "run directory; repeat it for an ensemble", (), required=True),
            Flag("input", "the examples: .csv, .npz or .npy", required=True),
            Flag("output", "the .csv to write", required=True),
            Flag("score", "decides: negative_elbo, negative_iwae, reconstruction, rate, "
                 "mahalanobis, residual", "negative_elbo"),
            Flag("share", "of ordinary examples, that may be marked: false alarms", 0.01),
        ),
        detect,
    ),
    "generate": Verb(
        "molecules drawn from the prior of a run trained on them, as SMILES",
        (
            WORKDIR,
            Flag("output", "the .smi to write", required=True),
            Flag("num", "sequences to draw", 1000),
            Flag("seed", "seed of the draws", 0),
            Flag("temperature", "of the prior's noise", 1.0),
        ),
        generate,
    ),
    "recommend": Verb(
        "items for a user who likes some, by a run trained on likes",
        (
            WORKDIR,
            Flag("user", "what the user likes, a title or number; repeat it", (), required=True),
            Flag("num", "items to name", 10),
        ),
        recommend,
    ),
    "reproduce": Verb(
        "run a paper's experiment as far as it is not done, and print its numbers beside ours",
        (
            Flag("scale", "full: the paper's; cpu: hours of 2 cores; quick: minutes", "full"),
            Flag("workdir", "sweep directory; by default runs/NAME-SCALE"),
            Flag("launcher", "population, processes or slurm; by default the experiment's own"),
            Flag("data_dir", "TFDS data directory"),
        ),
        reproduce,
        argument="name",
    ),
    "quickstart": Verb(
        "sweep latent size and beta on the UCI digits, as one program: no download, about a minute",
        (Flag("workdir", "sweep directory", "runs/quickstart"),),
        quickstart,
    ),
}


NONE = Verb("", (), lambda values: None)  # of a command line that names no verb


def main(argv: list[str] | None = None) -> int:
    """Runs one command line; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv:
        print(usage(VERBS))
        return 2
    shared = arguments.common()
    return guarded(lambda: _command(argv, shared), lambda: bool(shared["debug"].value))


def _command(argv: list[str], shared: Any) -> None:
    name, rest = arguments.verb_of(argv, shared)
    if name == "help":
        name, rest = arguments.verb_of([*rest, "--help"], shared)
    if name and name not in VERBS:
        raise UserError(
            f"no verb {name!r}{nearest(name, VERBS)}: one of {', '.join(VERBS)} (see --help)"
        )
    verb = VERBS.get(name, NONE)
    try:
        values = arguments.parse(name, verb, rest, shared)
    except arguments.Help as asked:
        text = verb_usage(name, verb) if name else usage(VERBS)
        print(arguments.help_text(asked.form, text, shared))
        return
    if verb is NONE:
        raise UserError(f"no verb: one of {', '.join(VERBS)} (see --help)")
    arguments.called(lambda: verb.call(values), shared)


if __name__ == "__main__":
    sys.exit(main())
