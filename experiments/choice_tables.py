"""The tables of what there is to choose from, made from the definitions: keys in `vae.keys`, all
else by the first paragraph of its docstring."""

import functools
import importlib
import inspect
from collections.abc import Iterable, Sequence

from vae import keys
from vae.choices import names


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells are Markdown, columns as wide as they come."""
    lines = (heads, ["---"] * len(heads), *rows)
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def choices(place: str) -> str:
    """What a module exports, and the first paragraph of what each says of itself."""
    module = importlib.import_module(place)
    rows = [(f"`{name}`", _summary(getattr(module, name))) for name in names(place)]
    return markdown(("name", ""), rows)


def _summary(choice: object) -> str:
    return " ".join((inspect.getdoc(choice) or "").partition("\n\n")[0].split())


def every_choice() -> str:
    """The keys that take a part by its name, and the names."""
    rows = []
    for name, key in keys.KEYS.items():
        if key.names:
            rows.append((f"`{name}`", ", ".join(f"`{each}`" for each in keys.choices(key))))
    return markdown(("key", "one of"), rows)


def key_table() -> str:
    """Every key of a config, a table a group."""
    parts = []
    for group, declared in keys.GROUPS.items():
        rows = []
        for name, key in declared.items():
            taken = f"one of: {', '.join(keys.choices(key))}" if key.names else key.rule(b"") or ""
            dotted = f"{group}.{name}" if group else name
            rows.append((f"`{dotted}`", f"`{key.default!r}`", taken, key.doc))
        head = ("key", "default", "takes", "meaning")
        parts += [f"## {group or 'The run'}", markdown(head, rows)]
    return "\n\n".join(parts)


TABLES = {"keys": key_table, "choices": every_choice} | {
    place.rpartition(".")[2]: functools.partial(choices, place)
    for place in ("vae.objectives", "vae.probability.posteriors", "vae.probability.priors",
                  "vae.probability.likelihoods", "vae.networks.encoders", "vae.networks.decoders",
                  "vae.models.bottlenecks")
}  # fmt: skip
