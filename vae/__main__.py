"""The command line: the only place with flags. A verb is one function call."""

import dataclasses
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags, logging

from vae.choices import nearest
from vae.errors import RunError, UserError

ROOT = Path(__file__).resolve().parent.parent  # config files import `configs` from here


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag of a verb."""

    name: str
    help: str
    default: Any = None
    required: bool = False


@dataclasses.dataclass(frozen=True)
class Verb:
    """One verb: what it does, its flags, and the call that does it."""

    summary: str
    flags: tuple[Flag, ...]
    call: Callable[[Any], None]
    argument: str = ""  # a positional argument, by name
    rest: str = ""  # the flag that takes what follows it: --compare A B
    config: bool = False  # takes --config=FILE[:arg] and --config.a.b=value


def train(values: Any) -> None:
    import vae
    from vae.distributed import initialize

    initialize(values.coordinator, values.num_processes, values.process_id)
    vae.train(values.config, values.workdir)


def evaluate(values: Any) -> None:
    import vae
    from vae.reports.tables import metrics_table

    metrics = None if values.metrics is None else values.metrics.split(",")
    result = vae.evaluate(values.workdir, values.split, metrics)
    print(metrics_table(result))


def sample(values: Any) -> None:
    from vae.reports.page import sample

    for path in sample(values.workdir, values.num, values.seed, values.sampler):
        print(path)


def report(values: Any) -> None:
    from vae.reports import compare, page
    from vae.sweeps import launch

    formats = values.format.split(",")
    if values.compare:
        print(compare.compare(values.compare, values.workdir or "runs/compare", formats))
        return
    if not values.workdir:
        raise UserError("report needs --workdir, or --compare and two run directories")
    if (Path(values.workdir) / "sweep.json").exists():
        print(launch.report(values.workdir, formats))
        return
    print(page.report(values.workdir, formats))


def prepare(values: Any) -> None:
    from vae.data import prepare

    print(prepare(values.name, values.data_dir, values["from"].value))


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
    points = grid.points(parts) or grid.described(values["config"].config_filename)
    launch.sweep(
        values.config,
        points or [{}] * (values.seeds > 1),
        values.seeds,
        values.workdir,
        values.launcher,
        values.slots,
        slurm_options(values),
        values.dry_run,
    )


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


DEFINE = {bool: flags.DEFINE_boolean, int: flags.DEFINE_integer, tuple: flags.DEFINE_multi_string}
WORKDIR = Flag("workdir", "run directory", required=True)
VERBS = {
    "prepare": Verb(
        "write a data set in TFDS's own format, from the internet or from local original files",
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
            Flag("workdir", "run directory; by default runs/ and a name made from the config"),
            Flag("coordinator", "host:port of process 0, for several processes outside Slurm"),
            Flag("num_processes", "number of processes, with --coordinator", 0),
            Flag("process_id", "number of this process, with --coordinator", -1),
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


def usage() -> str:
    """What `--help` prints."""
    lines = ["usage: python -m vae VERB [flags]      (or ./launch.sh VERB [flags])", ""]
    for name, verb in VERBS.items():
        lines.append(f"  {_call(name, verb)}\n      {verb.summary}")
    lines += [
        "",
        "--debug shows the traceback of an error. VERB --help lists the flags of a verb.",
        "Exit codes: 0 done, 1 failed, 2 the command or the config is wrong.",
    ]
    return "\n".join(lines)


def _call(name: str, verb: Verb) -> str:
    parts = [name] + ([verb.argument.upper()] if verb.argument else [])
    if verb.config:
        parts.append("--config=FILE[:arg] [--config.a.b=value]")
    for flag in verb.flags:
        text = f"--{flag.name}" + f"={flag.name.upper()}" * (flag.default is not False)
        parts.append(text if flag.required else f"[{text}]")
    return " ".join(parts)


def verb_usage(name: str, verb: Verb) -> str:
    """What `VERB --help` prints."""
    lines = [f"usage: {_call(name, verb)}", "", f"  {verb.summary}", ""]
    if verb.config:
        lines.append("  --config        a file of configs/ or your own; ':arg' goes to get_config")
        lines.append("  --config.a.b    any key of the config; configs/base.py explains each")
    for flag in verb.flags:
        default = f" (default: {flag.default})" if flag.default not in (None, -1, (), False) else ""
        lines.append(f"  --{flag.name:<13} {flag.help}{default}")
    return "\n".join(lines)


def parse(name: str, verb: Verb, arguments: list[str]) -> flags.FlagValues:
    """Reads a verb's arguments.

    Raises:
      UserError: an unknown or missing flag, or a config that cannot be read.
    """
    values = flags.FlagValues()
    for flag in verb.flags:
        define = DEFINE.get(type(flag.default), flags.DEFINE_string)
        default = list(flag.default) if isinstance(flag.default, tuple) else flag.default
        define(flag.name, default, flag.help, flag_values=values)
    argv = [name, *arguments]
    if verb.config:
        _define_config(name, values, argv)
    try:
        rest = values(argv)[1:]
    except flags.UnrecognizedFlagError as error:
        known = [flag.name for flag in verb.flags] + ["config"] * verb.config
        raise UserError(
            f"{name} has no flag --{error.flagname}{nearest(error.flagname, known)}: "
            f"see {name} --help"
        ) from None
    except flags.Error as error:
        raise UserError(_last_line(error)) from None
    except Exception as error:  # a config file is the user's program: it may raise anything
        reason = str(error).replace("\\n", "\n").splitlines()[-1].strip("'")
        raise UserError(f"--config cannot be read: {type(error).__name__}: {reason}") from error
    if verb.argument:
        if not rest:
            raise UserError(f"{name} needs {verb.argument.upper()}: {_call(name, verb)}")
        flags.DEFINE_string(verb.argument, rest.pop(0), "", flag_values=values)
    if verb.rest and values[verb.rest].value:
        values[verb.rest].value = [*values[verb.rest].value, *rest]
        rest = []
    if rest:
        raise UserError(f"{name} does not take {rest[0]!r}: see {name} --help")
    for flag in verb.flags:
        if flag.required and not values[flag.name].value:
            raise UserError(f"{name} needs --{flag.name}: {flag.help}")
    return values


def _define_config(name: str, values: flags.FlagValues, argv: list[str]) -> None:
    """Defines --config and its overrides; the file is read when the flags are parsed."""
    from ml_collections import config_flags

    from vae.config import RULES

    given = [argument.lstrip("-").split("=") for argument in argv if argument.startswith("-")]
    files = [rest[0].split(":")[0] for key, *rest in given if key == "config" and rest]
    if not files:
        raise UserError(f"{name} needs --config=FILE, for instance --config=configs/digits.py")
    if not Path(files[-1]).is_file():
        raise UserError(f"--config={files[-1]}: there is no such file")
    for key, *_ in given:
        if key.startswith("config.") and key.removeprefix("config.") not in RULES:
            key = key.removeprefix("config.")
            raise UserError(f"config has no key {key!r}{nearest(key, RULES)}")
    sys.path.insert(0, str(ROOT))  # where a config file finds `configs`
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)


def _last_line(error: Exception) -> str:
    """The last line of a message: config_flags' may hold a whole traceback."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return [line.strip() for line in text.splitlines() if line.strip()][-1]


def main(arguments: list[str] | None = None) -> int:
    """Runs one command line; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(usage())
        return 0 if arguments else 2
    return guarded(lambda: _command(arguments[0], arguments[1:]), debug)


def _command(name: str, rest: list[str]) -> None:
    if name not in VERBS:
        raise UserError(
            f"no verb {name!r}{nearest(name, VERBS)}: one of {', '.join(VERBS)} (see --help)"
        )
    if {"--help", "-h"} & set(rest):
        print(verb_usage(name, VERBS[name]))
        return
    VERBS[name].call(parse(name, VERBS[name], rest))


def guarded(work: Callable[[], None], debug: bool = False) -> int:
    """Does the work with compilations kept; prints an error in a line or two.

    Returns:
      The exit code: 0 done, 1 failed, 2 the command or the config is wrong.
    """
    warnings.showwarning = _show_warning
    _cache_compilations()
    if not debug:  # Orbax logs the traceback of an error that it also raises
        logging.set_verbosity(logging.FATAL)
    try:
        work()
        return 0
    except (UserError, RunError, OSError) as error:
        if debug:
            raise
        print(f"error: {_message(error)}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1
    except KeyboardInterrupt:
        if debug:
            raise
        print("error: interrupted; run the same command to go on", file=sys.stderr)
        return 1


def _cache_compilations() -> None:
    """Keeps what XLA compiles between commands, unless the environment says otherwise."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vae" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def _message(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror or error}{where}: nothing finished was lost; mend it and run again"
    return str(error)


def _show_warning(message: Warning | str, *_: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
