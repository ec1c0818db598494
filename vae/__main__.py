"""The command line: the only place with flags. A verb is one function call."""

import ast
import sys
from pathlib import Path
from typing import Any

from vae import arguments
from vae.choices import nearest
from vae.command import ROOT, Flag, Verb, guarded, usage, verb_usage
from vae.errors import UserError


def train(values: Any) -> None:
    """Trains a run, or resumes it."""
    import vae

    _join(values, together=True)
    config = values.config
    if values.init_from:
        config.train.init_from = values.init_from
    if values.freeze:
        config.train.freeze = tuple(values.freeze.split(","))
    if values.epochs:
        config.train.epochs = _epochs(values.epochs, config)
    vae.train(config, values.workdir, values.extend or bool(values.epochs))


def _join(values: Any, together: bool) -> None:
    """Joins the other processes of the command, where it runs as several."""
    from vae.distributed import initialize

    initialize(values.coordinator, values.num_processes, values.process_id, together)


def _epochs(text: str, config: Any) -> int:
    """So many epochs, or with a + so many more than the config has."""
    if not text.removeprefix("+").isdecimal():
        raise UserError(f"--epochs={text}: give a whole number, or +N to go on for N more")
    return int(text) + (config.train.epochs if text.startswith("+") else 0)


def evaluate(values: Any) -> None:
    """Evaluates a run and prints its metrics; of several processes, the first does."""
    import vae
    from vae import distributed
    from vae.reports.tables import metrics_table

    _join(values, together=False)
    metrics = None if values.metrics is None else values.metrics.split(",")
    if distributed.first():
        print(metrics_table(vae.evaluate(values.workdir, values.split, metrics)), flush=True)
    distributed.meet("evaluated")


def sample(values: Any) -> None:
    """Draws samples from a run and prints the files written."""
    from vae.reports.sampling import sample

    of_class = getattr(values, "class")
    for path in sample(
        values.workdir, values.num, values.seed, values.sampler, values.draw, of_class,
        values.guidance, values.output or "",
    ):  # fmt: skip
        print(path)


def report(values: Any) -> None:
    """Writes the report of a run, of a sweep, or of several runs, and prints its path."""
    formats = values.format.split(",")
    if values.compare:
        from vae.reports import compare

        print(compare.compare(values.compare, values.workdir or "runs/compare", formats))
        return
    if not values.workdir:
        raise UserError("report needs --workdir, or --compare and two run directories")
    if (Path(values.workdir) / "sweep.json").exists():
        from vae.sweeps import results

        print(results.report(values.workdir, formats))
        return
    from vae.reports import page

    print(page.report(values.workdir, formats))


def data(values: Any) -> None:
    from vae.first_look import first_look

    found = first_look(values.file, values.label or "", values.kind or "", values.columns or "")
    print(found.text, flush=True)
    found.misfits.check(values.file)


def prepare(values: Any) -> None:
    """Prepares a data set and prints where it is."""
    from vae.data import prepare

    print(prepare(values.name, values.data_dir, getattr(values, "from")))


def sweep(values: Any) -> None:
    """Runs a grid or a search, or resumes it."""
    from vae.sweeps import grid, launch

    _join(values, together=False)
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


def plan(values: Any) -> None:
    """Prints what a run or a sweep would need on a target."""
    from vae.hardware.plan import plan
    from vae.sweeps import grid

    points = grid.points([grid.parse(text, values.config) for text in values.sweep])
    points = points or [{}] * (values.seeds > 1)
    plan(values.config, points, values.target, values.seeds, values.slots, values.output)


def detect(values: Any) -> None:
    """Writes the anomaly scores of a table and prints how many rows are marked."""
    from vae.evaluation.detect import detect

    found = detect(values.workdir, values.input, values.output, values.score, values.share)
    print(
        f"{found['marked']:,} of {found['examples']:,} examples marked: {values.score} above "
        f"{found['threshold']:.5g}, as at most {found['share']:.2g} of ordinary ones are\n"
        f"{values.output}"
    )


def differential(values: Any) -> None:
    """Writes how genes differ between two groups of cells, and prints how many surely do."""
    from vae.evaluation.differential import differential

    found = differential(
        values.workdir, values.input, values.groups, values.a, values.b, values.output,
        values.delta, values.pairs, values.seed,
    )  # fmt: skip
    print(
        f"{found['a']:,} cells of {values.a}, {found['b']:,} of {values.b or 'all others'}: "
        f"{found['genes']:,} genes differ with probability above 0.95\n{values.output}"
    )


def encode(values: Any) -> None:
    """Writes the latents of examples, and prints the path."""
    from vae.evaluation.transform import encode

    count, latents = encode(values.workdir, values.input, values.output)
    print(f"{count:,} examples, {latents:,} latents\n{values.output}")


def reconstruct(values: Any) -> None:
    """Writes the reconstructions of examples, and prints the path."""
    from vae.evaluation.transform import reconstruct

    count = reconstruct(values.workdir, values.input, values.output)
    print(f"{count:,} examples\n{values.output}")


def interpolate(values: Any) -> None:
    """Writes what lies between two examples, and prints the path."""
    from vae.evaluation.transform import interpolate

    interpolate(
        values.workdir, values.first, values.last, values.output, values.steps, values.input
    )
    print(values.output)


def impute(values: Any) -> None:
    """Writes a table with its missing cells filled, and says how far to rely on it."""
    from vae.evaluation.impute import impute

    found = impute(
        values.workdir, values.input, values.output, values.samples, values.draws, values.seed
    )
    print(
        f"{found['filled']:,} missing cells of {found['rows']:,} rows filled, from at least "
        f"{found['effective']:.3g} effective draws of {values.samples:,}\n{values.output}"
    )


def compress(values: Any) -> None:
    """Writes examples as a file, losslessly, and prints how long it is beside the bound."""
    from vae.evaluation.compress import compress

    print(
        compress(
            values.workdir, values.input, values.output, values.precision, values.streams
        ).describe()
    )
    print(values.output)


def decompress(values: Any) -> None:
    """Writes the examples of such a file, and prints the path."""
    from vae.evaluation.compress import decompress

    count = decompress(values.workdir, values.input, values.output)
    print(f"{count:,} examples\n{values.output}")


def export(values: Any) -> None:
    """Writes a run for other programs, and prints the paths."""
    from vae.export import export

    for path in export(values.workdir, values.output, values.format):
        print(path)


def push(values: Any) -> None:
    """Uploads a run, and prints where it is."""
    from vae import hub

    print(hub.push(values.workdir, values.to, values.with_data, values.public, values.licence))


def pull(values: Any) -> None:
    """Brings a pushed run here, and prints its directory."""
    from vae import hub

    print(hub.pull(values.source, values.workdir, values.data))


def generate(values: Any) -> None:
    """Writes molecules drawn from a run and prints how many of the draws were some."""
    from vae.evaluation.molecules import generate

    found = generate(
        values.workdir, values.num, values.output, values.seed, values.temperature
    )
    print(f"{found['written']:,} of {found['drawn']:,} are molecules\n{values.output}")


def recommend(values: Any) -> None:
    """Prints items for one user, with the share that the model gives each."""
    from vae.evaluation.recommend import recommend

    for title, share in recommend(values.workdir, values.user, values.num):
        print(f"{share:8.2%}  {title}")


def reproduce(values: Any) -> None:
    """Runs an experiment and prints its numbers beside the expected ones."""
    sys.path.insert(0, str(ROOT))
    try:
        from experiments import reproduce
    except ModuleNotFoundError:
        raise UserError(
            "reproduce needs a clone of the project: experiments are not installed with it"
        ) from None

    launcher, data_dir = values.launcher or "", values.data_dir or ""
    reproduce.reproduce(values.name, values.scale, values.workdir, launcher, data_dir)


def check(values: Any) -> None:
    from vae import contract
    from vae.errors import RunError

    given = dict(text.partition("=")[::2] for text in values.set)
    if not contract.report(values.name, {key: _literal(text) for key, text in given.items()}):
        raise RunError(f"{values.name} does not do what its place asks: see FAIL above")


def _literal(text: str) -> Any:
    """A value as it is written in Python, or text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def slurm_options(values: Any) -> Any:
    """What the flags ask of Slurm."""
    from vae.sweeps.slurm import Options

    return Options(values.partition or "", values.gpus, values.cpus, values.minutes)


def quickstart(values: Any) -> None:
    """Runs the bundled sweep."""
    from vae.quickstart import quickstart

    quickstart(values.workdir)


EXTEND = Flag(
    "extend", "go on with more train.epochs where a schedule depends on their number", False
)
WORKDIR = Flag("workdir", "run directory", required=True)
INPUT = Flag("input", "a file or folder like the run's data; or train, validation, test", "test")
OUTPUT = Flag("output", "the .csv, .parquet or .npz to write", required=True)
OR_CELLS = Flag("output", "the .csv, .parquet or .npz to write; of cells also .h5ad", required=True)
SWEEP = Flag("sweep", "KEY=V1,V2,... or KEY=log(LOW,HIGH,COUNT); repeat it for a product", ())
SEEDS = Flag("seeds", "seeds of each point, counted from the config's", 1)
SLOTS = Flag("slots", "trials at a time; 0: as many as fit", 0)
PROCESSES = (
    Flag("coordinator", "host:port of process 0, for several processes outside a cluster"),
    Flag("num_processes", "of them, with --coordinator; 1 alone: whatever the cluster says",
         kind=int),
    Flag("process_id", "number of this process, with --coordinator", kind=int),
)  # fmt: skip
LABEL = Flag("label", "column of a table that is labels, none for none")
VERBS = {
    "data": Verb(
        "look at your own data before training: what they are, what is wrong, what would be done",
        (
            LABEL,
            Flag("kind", "what the numbers are: binary, grey, real, counts, tokens or columns"),
            Flag("columns", "kinds of columns: age:gaussian,grade:ordinal(low<middle<high)"),
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
            Flag("epochs", "train.epochs; +N: N more than the run has, which then goes on"),
            Flag("init_from", "a run whose weights training starts from"),
            Flag("freeze", "parts of the model that keep their weights: encoder,prior"),
            EXTEND,
            *PROCESSES,
        ),
        train,
        config=True,
    ),
    "sweep": Verb(
        "train a grid of configs, by default as one program, then evaluate and report; resumable",
        (
            SWEEP,
            SEEDS,
            Flag("workdir", "sweep directory; by default runs/ and a name made from the sweep"),
            EXTEND,
            Flag("launcher", "population, processes or slurm", "population"),
            SLOTS,
            Flag("search", "tpe or random: search the space that --sweep gives, with Optuna"),
            Flag("trials", "trials of a search", 0),
            Flag("halving", "successive halving: keep the better 1/N of a batch; 0: off", 0),
            Flag("dry_run", "list the trials and the plan, and do nothing", False),
            Flag("partition", "Slurm: partition"),
            Flag("gpus", "Slurm: GPUs a trial", 0),
            Flag("cpus", "Slurm: cores a trial", 1),
            Flag("minutes", "Slurm: time limit of a trial", 60),
            *PROCESSES,
        ),
        sweep,
        config=True,
    ),
    "plan": Verb(
        "what a run or a sweep would need on hardware that is not here: compiled for it, not run",
        (
            Flag("target", "v5e:2x2, v5p:2x2x2, h100:8, cpu:2 ...: devices in their layout",
                 required=True),
            SWEEP,
            SEEDS,
            SLOTS,
            Flag("output", "a .json to write every number to"),
        ),
        plan,
        config=True,
    ),
    "evaluate": Verb(
        "compute every metric that the run's config names",
        (
            WORKDIR,
            Flag("split", "validation or test; by default the config's eval.split"),
            Flag("metrics", "groups beside the bounds, A,B; by default the config's eval.metrics"),
            *PROCESSES,
        ),
        evaluate,
    ),
    "sample": Verb(
        "draw from the prior, or from a density fitted to the latents: a grid and an .npz",
        (
            WORKDIR,
            Flag("num", "number of samples", 64),
            Flag("seed", "seed of the draws", 0),
            Flag("sampler", "prior, normal, aggregate, mixture, flow, second_stage or "
                 "flow_matching; of codes prior, causal or masked", "prior"),
            Flag("draw", "draw x from p(x|z) rather than write its mean", False),
            Flag("output", "a .csv or .parquet for draws of vectors, by column in the data's own "
                 "units; by default samples.npz of the run"),
            Flag("class", "of all samples: of a model that is given labels, or by flow_matching, "
                 "causal or masked of data that have them", ""),
            Flag("guidance", "of these samplers: 1 a class as it is, more exaggerates it", 1.0),
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
    "encode": Verb(
        "latents of examples by a trained run: mean and standard deviation of q(z|x)",
        (WORKDIR, INPUT, OR_CELLS),
        encode,
    ),
    "reconstruct": Verb(
        "the mean of p(x|z) at the latents of examples, in the data's own units",
        (WORKDIR, INPUT, OR_CELLS),
        reconstruct,
    ),
    "interpolate": Verb(
        "what lies between two examples, along a line between their latents",
        (
            WORKDIR, INPUT, OUTPUT,
            Flag("first", "number of the first example, from 0 on", 0),
            Flag("last", "number of the last", 1),
            Flag("steps", "of the way, the ends counted", 8),
        ),
        interpolate,
    ),
    "impute": Verb(
        "the missing cells of a table, from what is observed of each row",
        (
            WORKDIR,
            Flag("input", "a table with the run's columns", required=True),
            OUTPUT,
            Flag("samples", "draws of z an example, weighted by what they say of the row", 1000),
            Flag("draws", "imputations of each row, drawn; 0: one, of means and most probable "
                 "levels", 0),
            Flag("seed", "seed of the draws", 0),
        ),
        impute,
    ),
    "compress": Verb(
        "examples as a lossless file, as long as minus the bound: bits back coding",
        (
            WORKDIR, INPUT,
            Flag("output", "the file to write", required=True),
            Flag("precision", "bits of a latent", 12),
            Flag("streams", "stacks of bits, whose examples the networks see at a time", 16),
        ),
        compress,
    ),
    "decompress": Verb(
        "the examples of a file that compress wrote, to the last bit",
        (
            WORKDIR,
            Flag("input", "the file", required=True),
            Flag("output", "the .npz to write", required=True),
        ),
        decompress,
    ),
    "export": Verb(
        "a trained run for other programs: weights as safetensors, functions as StableHLO",
        (
            WORKDIR,
            Flag("output", "a .safetensors file, or a folder for StableHLO", required=True),
            Flag("format", "safetensors or stablehlo", "safetensors"),
        ),
        export,
    ),
    "push": Verb(
        "upload a finished run to the Hugging Face hub, or into a folder, with a model card",
        (
            WORKDIR,
            Flag("to", "USER/NAME of the hub, or a new folder", required=True),
            Flag("with_data", "also the data that the run keeps, as vae.fit does", False),
            Flag("public", "let all see a repository that is new", False),
            Flag("licence", "for the card: the hub's name of one, such as apache-2.0", ""),
        ),
        push,
    ),
    "pull": Verb(
        "bring a pushed run here: USER/NAME of the hub, or a folder",
        (
            Flag("workdir", "run directory to make", required=True),
            Flag("data", "where this machine has the own data that the run was trained on", ""),
        ),
        pull,
        argument="source",
    ),
    "detect": Verb(
        "anomaly scores of a table by a trained run, or by an ensemble of several",
        (
            Flag("workdir", "run directory; repeat it for an ensemble", (), required=True),
            Flag("input", "a file or folder like the run's data", required=True),
            OUTPUT,
            Flag("score", "decides: negative_elbo, negative_iwae, reconstruction, rate, "
                 "mahalanobis, residual", "negative_elbo"),
            Flag("share", "of ordinary examples, that may be marked: false alarms", 0.01),
        ),
        detect,
    ),
    "differential": Verb(
        "how genes differ between two groups of cells, by a run trained on counts",
        (
            WORKDIR,
            Flag("input", "an .h5ad or a table like the run's data", required=True),
            OUTPUT,
            Flag("groups", "column of obs, or of the table, that tells the groups", required=True),
            Flag("a", "a value of it", required=True),
            Flag("b", "another; by default all cells that are not of a", ""),
            Flag("delta", "of log2 fold changes, above which one counts", 0.25),
            Flag("pairs", "of cells and draws of z", 5000),
            Flag("seed", "seed of the draws", 0),
        ),
        differential,
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
    "check": Verb(
        "check a part of your own: gradients, devices, masks, precision, densities",
        (Flag("set", "KEY=VALUE of the config, to go with it; repeat it", ()),),
        check,
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
