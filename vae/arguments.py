"""A command line, read by absl's rules: a verb's own flags, those of absl and JAX, config keys.

Flags may stand anywhere, also before the verb: `--flag=value` or `--flag value`, with one dash or
two; `--flag` and `--noflag` for true and false. `--flagfile=F` reads flags from a file, `--` ends
them, and `--undefok=a,b` names flags that may be unknown.
"""

import enum
import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from absl import app, flags, logging

from vae.choices import nearest
from vae.command import Verb, call_of
from vae.errors import UserError

DEFINE: dict[type, Callable[..., Any]] = {
    bool: flags.DEFINE_boolean,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    tuple: flags.DEFINE_multi_string,
}
OVERRIDE = re.compile(r"(no)?config\.")  # of a flag that sets a key of the config
PART = re.compile(r"--?config\.([\w.]+)=([^=]+:[^=]+)$")  # one that names a part from outside
DEBUGGERS = ("run_with_pdb", "pdb_post_mortem", "run_with_profiling", "profile_file")
LOGGING = ("logtostderr", "alsologtostderr", "log_dir", "verbosity", "logger_levels",
           "stderrthreshold", "showprefixforinfo")  # fmt: skip


class Help(Exception):
    """One of absl's flags for help was read; `form` is its name."""

    def __init__(self, form: str):
        super().__init__(form)
        self.form = form


class _HelpFlag(flags.BooleanFlag):
    """Stops the reading at once, as absl's own help flags do, because what follows may be wrong."""

    def parse(self, argument: Any) -> None:
        """Raises Help where the flag is set."""
        if self._parse(argument):
            raise Help(self.name)


class _FlagOrText(flags.BooleanParser):
    """Of a key that is True, False or a word."""

    def parse(self, argument: Any) -> Any:
        try:
            return super().parse(argument)
        except ValueError:
            return argument


def common() -> flags.FlagValues:
    """The flags of every verb: --debug, those for help, and absl's own, as if not yet given."""
    values = flags.FlagValues()
    flags.DEFINE_boolean("debug", False, "show the traceback of an error", flag_values=values)
    for name, short in (("help", "?"), ("h", None), ("helpshort", None), ("helpfull", None),
                        ("helpxml", None)):  # fmt: skip
        help_flag = _HelpFlag(name, False, "show this help", short_name=short)
        flags.DEFINE_flag(help_flag, values, __name__)
    _adopt(values, "absl.")
    return values


def _adopt(values: flags.FlagValues, modules: str) -> None:
    """Adds the flags that modules have defined in absl's own FLAGS, where they still read them."""
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        for flag in defined if module.startswith(modules) else ():
            if flag.name not in values:
                flag.unparse()  # by an earlier command of this process
                flags.DEFINE_flag(flag, values, module)


def _with_jax(values: flags.FlagValues) -> None:
    """Adds JAX's own flags."""
    import jax

    if "jax_enable_x64" not in flags.FLAGS:
        jax.config.config_with_absl()
    _adopt(values, "jax.")


def verb_of(arguments: Sequence[str], shared: flags.FlagValues) -> tuple[str, list[str]]:
    """The verb, "" where there is none, and the other arguments."""
    arguments = _expanded(shared, arguments)
    is_value = False
    for place, argument in enumerate(arguments):
        if not argument.startswith("-") and not is_value:
            return argument, arguments[:place] + arguments[place + 1 :]
        name = argument.lstrip("-")
        is_value = argument.startswith("-") and name in shared and not shared[name].boolean
    return "", arguments


def parse(
    name: str, verb: Verb, arguments: Sequence[str], shared: flags.FlagValues
) -> SimpleNamespace:
    """The values of a verb's flags and arguments; `config` is the config itself, `config_file` what
    named it. What absl's and JAX's own flags say is set.

    Raises:
      UserError: an unknown or missing flag, or a config that cannot be read.
      Help: a flag for help was read before anything wrong.
    """
    values = _defined(verb, shared)
    arguments = _expanded(values, arguments)
    overrides = _check_unknown(name, values, arguments, verb.config)
    config_file: Any = None
    config: Any = None
    if verb.config:
        config_file = values["config"].value
        config = _with_overrides(name, values, overrides, arguments)
    values.unparse_flags()
    rest = _read(name, values, arguments)
    found: dict[str, Any] = {flag.name: values[flag.name].value for flag in verb.flags}
    if verb.argument:
        if not rest:
            raise UserError(f"{name} needs {verb.argument.upper()}: {call_of(name, verb)}")
        found[verb.argument] = rest.pop(0)
    if verb.rest and found[verb.rest]:
        found[verb.rest] = [*found[verb.rest], *rest]
        rest = []
    if rest:
        raise UserError(f"{name} does not take {rest[0]!r}: see {name} --help")
    for flag in verb.flags:
        if flag.required and not found[flag.name]:
            raise UserError(f"{name} needs --{flag.name}: {flag.help}")
    if config is not None:
        from vae.config_files import readable

        readable(config, config_file)
    _set(values)
    return SimpleNamespace(**found, config=config, config_file=config_file)


def help_text(form: str, text: str, shared: flags.FlagValues) -> str:
    """`text`; for `--helpfull` with absl's and JAX's flags, for `--helpxml` those alone."""
    if form not in ("helpfull", "helpxml"):
        return text
    _with_jax(shared)
    if form == "helpfull":
        return f"{text}\n{shared.get_help()}"
    written = io.StringIO()
    shared.write_help_in_xml_format(written)
    return written.getvalue()


def called(work: Any, shared: flags.FlagValues) -> None:
    """Does the work, under absl's debugger or profiler if asked for; nothing if the command line
    was only to be checked."""
    if shared["only_check_args"].value:
        return
    if not any(shared[name].value for name in DEBUGGERS):
        work()
        return
    flags.FLAGS.mark_as_parsed()
    try:
        app.run(lambda _: work(), [sys.argv[0]], flags_parser=lambda argv: argv)
    except SystemExit as end:  # how absl ends what went well
        if end.code:
            raise


def _defined(verb: Verb, shared: flags.FlagValues) -> flags.FlagValues:
    values = flags.FlagValues()
    for flag in verb.flags:
        default = list(flag.default) if isinstance(flag.default, tuple) else flag.default
        kind = flag.kind or type(flag.default)
        DEFINE.get(kind, flags.DEFINE_string)(flag.name, default, flag.help, flag_values=values)
    if verb.config:
        flags.DEFINE_string("config", None, "the config", flag_values=values)
    for module, defined in shared.flags_by_module_dict().items():
        for other in defined:
            flags.DEFINE_flag(other, values, module)
    return values


def _expanded(values: flags.FlagValues, arguments: Sequence[str]) -> list[str]:
    """The arguments with those of every --flagfile in its place."""
    try:
        return values.read_flags_from_files(list(arguments))
    except (flags.Error, OSError, UnicodeDecodeError) as error:
        raise UserError(f"--flagfile: {_last_line(error)}") from None


def _read(
    name: str, values: flags.FlagValues, arguments: Sequence[str], known_only: bool = False
) -> list[str]:
    """What is left once the flags are read; with `known_only`, unknown flags too."""
    try:
        return values([name, *arguments], known_only)[1:]
    except flags.UnrecognizedFlagError as error:  # of a key that is there, and not boolean
        flag = error.flagname
        raise UserError(f"--{flag}: only a key that is True or False takes a no") from None
    except flags.Error as error:
        raise UserError(_last_line(error)) from None


def _check_unknown(
    name: str, values: flags.FlagValues, arguments: Sequence[str], config: bool
) -> list[str]:
    """Adds JAX's flags where one may be meant; returns the arguments that override config keys.

    Raises:
      UserError: a flag, or a key of the config, that does not exist.
    """
    left = _names(_read(name, values, arguments, known_only=True))

    def unknown(left: list[str]) -> list[str]:
        return [flag for flag in left if not (config and OVERRIDE.match(flag))]

    if unknown(left):
        _with_jax(values)
        values.unparse_flags()
        left = _names(_read(name, values, arguments, known_only=True))
    for flag in unknown(left):
        mine = [key for key in values if values.find_module_defining_flag(key) == __name__]
        asked = f"{name or 'vae'} has no flag --{flag}{nearest(flag, mine)}"
        raise UserError(f"{asked}: see {name} --help".replace("  ", " "))
    return [f"--{flag}" for flag in left]


def _names(left: Iterable[str]) -> list[str]:
    """Names of the flags among arguments, up to a `--`."""
    names = []
    for argument in left:
        if argument == "--":
            break
        name = argument.lstrip("-").split("=")[0]
        if argument.startswith("-") and name[:1].isalpha():  # -0.5 is a number
            names.append(name)
    return names


def _with_overrides(
    name: str, values: flags.FlagValues, overrides: Sequence[str], arguments: Sequence[str]
) -> Any:
    """The config that --config names, of the data that --data does; defines the flags
    `--config.a.b`, which write into it."""
    file, own = values["config"].value, "data" in values and values["data"].value
    begun = str(values["workdir"].value or "") if name == "train" else ""
    if not file and not own and begun and (Path(begun) / "config.json").is_file():
        file = begun  # a run that goes on as it is
    if not file and not own:
        instead = ", or --data=FILE for your own data" if "data" in values else ""
        raise UserError(
            f"{name} needs --config: a shipped one, such as --config=digits, or a file{instead}"
        )
    from ml_collections import config_flags

    from vae.config import FLAG_OR_TEXT
    from vae.config_files import dotted, load
    from vae.keys import KEYS

    given = {
        match[1]: match[2] for argument in arguments if (match := PART.match(argument))
        and match[1] in KEYS and KEYS[match[1]].part and KEYS[match[1]].names
    }  # fmt: skip
    config = load(file or "base", given)
    known = list(dotted(config))
    for override in overrides:
        key = override.partition(".")[2]
        if key not in known:
            raise UserError(f"config has no key {key!r}{nearest(key, known)}")
    if own:
        config.data.name, config.data.path = "files", own
    if values["label"].value if "label" in values else "":
        config.data.label = values["label"].value
    defined = flags.FlagValues()
    config_flags.register_flag_parser_for_type(FLAG_OR_TEXT, _FlagOrText())
    config_flags.DEFINE_config_dict("config", config, flag_values=defined, sys_argv=overrides)
    for key in set(defined) - {"config"}:
        defined[key].boolean |= isinstance(defined[key].parser, _FlagOrText)
        flags.DEFINE_flag(defined[key], values, __name__)
    return config


def _set(values: flags.FlagValues) -> None:
    """Does what absl's logging flags and JAX's flags say."""
    if any(values[flag].present for flag in LOGGING):
        flags.FLAGS.mark_as_parsed()
        logging.use_absl_handler()
    if not values["verbosity"].present:
        logging.set_verbosity(logging.WARNING if values["debug"].value else logging.FATAL)
    for module, defined in values.flags_by_module_dict().items():
        for flag in defined if module.startswith("jax.") else ():
            if flag.present:
                _set_jax(flag.name, flag.value)


def _set_jax(name: str, value: Any) -> None:
    """Sets one of JAX's flags, here and in the processes that this one starts."""
    import jax

    try:
        jax.config.update(name, value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"--{name}={value}: {error}") from None
    os.environ[name.upper()] = value.name if isinstance(value, enum.Enum) else str(value)


def _last_line(error: Exception) -> str:
    """The last line of a message: absl's may hold more."""
    text = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    return [line.strip() for line in text.splitlines() if line.strip()][-1]
