"""One self-contained HTML page: figures inside it, nothing fetched, dark and light, any width."""

import base64
import dataclasses
import html
import os
import shlex
import urllib.parse
from collections.abc import Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import Any

from vae import runs
from vae.config import flatten
from vae.reports.tables import format_value

HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page: a heading, and either figures with captions or a sentence why not."""

    title: str
    caption: str
    figure: Path | None = None  # a PNG
    is_chart: bool = False  # drawn on white: its lightness is turned over on a dark page


@dataclasses.dataclass(frozen=True)
class Block:
    """A part of the page whose body is HTML already; `page.js` moves what can be moved in it."""

    title: str
    caption: str
    body: str = ""


@dataclasses.dataclass(frozen=True)
class Panels:
    """A part with several figures side by side, as many in a row as the page has room for."""

    title: str
    caption: str
    figures: Sequence[tuple[str, Path]]  # what stands under each ("": nothing), and a PNG
    is_chart: bool = False
    columns: int = 3  # at most
    least: float = 16.0  # the narrowest that a figure becomes, rem


@dataclasses.dataclass(frozen=True)
class Link:
    """A cell of a table that leads to another page."""

    text: str
    address: str  # relative to the page, quoted


@dataclasses.dataclass(frozen=True)
class Noted:
    """A cell of a table with a softer text under it, which may run over several lines."""

    text: str
    note: str


Cell = str | Link | Noted


@dataclasses.dataclass(frozen=True)
class Table:
    """A part with a table; the last cell of a row that is shorter than the head fills it up."""

    title: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]


Part = Section | Block | Panels | Table


def document(
    title: str,
    summary: str,
    lead: Sequence[str],
    sections: Sequence[Part],
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
    base: Mapping[str, Any] | None = None,
) -> str:
    """A page of a title, what a reader must see first (`lead`, HTML), sections and settings.

    Args:
      base: the config that this one was made from: what differs is shown before the whole.
    """
    command = environment.get("command")
    parts = [
        f"<header><h1>{_text(title)}</h1><p class=soft>{_text(summary)}</p></header>",
        *lead,
        *map(_section, sections),
        f"<section><h2>Config</h2>{_settings(dict(flatten(config)), base)}</section>"
        if config
        else "",
        "<section><h2>Environment</h2>",
        f"<pre>{_text(command)}</pre>" if command else "",
        _table({k: v for k, v in flatten(environment) if k != "command"}) + "</section>",
    ]
    css = (HERE / "page.css").read_text(encoding="utf-8")
    has_blocks = any(isinstance(section, Block) for section in sections)
    script = (HERE / "page.js").read_text(encoding="utf-8") if has_blocks else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'  # or a browser asks the server for one
        f"<title>{_text(title)}</title><style>{css}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>"
        + (f"<script>{script}</script>" if script else "")
        + "</body></html>\n"
    )


def _settings(config: Mapping[str, Any], base: Mapping[str, Any] | None) -> str:
    """The config; where its base is known, what differs from it first and the rest folded away."""
    if base is None:
        return _table(config)
    lists = {key: _shown(value) for key, value in flatten(base)}
    rows = [
        [key, _shown(value), lists.get(key, "–")]
        for key, value in config.items()
        if _shown(value) != lists.get(key)
    ]
    whole = f"<details><summary>All {len(config)} keys</summary>{_table(config)}</details>"
    if not rows:
        return f"<p class=soft>As configs/base.py has it.</p>{whole}"
    return _data(("Differs from configs/base.py", "here", "there"), rows) + whole


def verdict(sentences: Sequence[str], problems: Mapping[str, str]) -> str:
    """What a page has to say before everything else, and a list of what went wrong.

    Args:
      problems: each with what may be done about it, shown softly after it; "" where nothing is.
    """
    said = "".join(f"<p>{_text(sentence)}</p>" for sentence in sentences)

    def item(problem: str, remedy: str) -> str:
        after = f" <span class=soft>{_text(remedy)}</span>" if remedy else ""
        return f"<li>{_text(problem)}{after}</li>"

    items = "".join(starmap(item, problems.items()))
    listed = f"<ul class=problems>{items}</ul>" if items else ""
    return f"<div class=note>{said}{listed}</div>"


def address(page: Path, directory: Path) -> str:
    """What leads from a page in `directory` to another page, quoted."""
    return urllib.parse.quote(os.path.relpath(page.resolve(), directory.resolve()))


def write(path: Path, text: str) -> Path:
    """Writes the page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with runs.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def numbers(evaluation: Mapping[str, Any], names: Sequence[str]) -> str:
    """Some metrics of an `evaluation.json`, large, and what they were measured on."""
    tiles = []
    for name in names:
        metric = evaluation["metrics"][name]
        value, _, error = format_value(metric["value"], metric["stderr"]).partition(" ± ")
        error = f" <small>± {error}</small>" if error else ""
        value, unit = value.replace("-", "−"), f"<span>{_text(metric['unit'])}</span>"
        label = _text(metric["label"])
        tiles.append(f"<div><dt>{label}</dt><dd>{value}{error}{unit}</dd></div>")
    where = (
        f"{evaluation['num_examples']:,} {evaluation['split']} examples, step "
        f"{evaluation['step']:,}, seed {evaluation['seed']}; ± is the standard error of the mean "
        "over examples."
    )
    return f"<dl class=numbers>{''.join(tiles)}</dl><p class=soft>{_text(where)}</p>"


def not_evaluated(workdir: str) -> str:
    """What a page says in place of the numbers."""
    command = f"./launch.sh evaluate --workdir {shlex.quote(workdir)}"
    return (
        "<p class=note>This run has not been evaluated. For the numbers, and KL per latent, run "
        f"this and then report again:</p><pre>{_text(command)}</pre>"
    )


def _section(section: Part) -> str:
    heading = f"<section><h2>{_text(section.title)}</h2>"
    caption = f"<p class=soft>{_text(section.caption)}</p>" if section.caption else ""
    if isinstance(section, Table):
        return f"{heading}{caption}{_data(section.head, section.rows)}</section>"
    if isinstance(section, Block):
        return f"{heading}{section.body}{caption}</section>"
    if isinstance(section, Panels):
        figures = "".join(
            _figure(f"{section.title}: {text or path.stem}", text, path, section.is_chart)
            for text, path in section.figures
        )
        layout = f"--columns: {section.columns}; --least: {section.least:g}rem"
        panels = f'<div class=panels style="{layout}">{figures}</div>'
        return f"{heading}{panels}{caption}</section>"
    if section.figure is None:
        return f"{heading}{caption}</section>"
    figure = _figure(section.title, section.caption, section.figure, section.is_chart)
    return f"{heading}{figure}</section>"


def _figure(alternative: str, caption: str, path: Path, is_chart: bool) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    below = f"<figcaption>{_text(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><div class={"chart" if is_chart else "picture"}><img alt="{_text(alternative)}" '
        f'src="data:image/png;base64,{data}"></div>{below}</figure>'
    )


def _data(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table of results: columns of numbers to the right, wider than the page if need be."""
    full = [row for row in rows if len(row) == len(head)]
    columns = list(zip(*full, strict=True)) or [()] * len(head)
    kinds = [" class=number" if _is_numeric(column) else "" for column in columns]

    def cell(number: int, value: Cell, is_last: bool) -> str:
        if isinstance(value, Link):
            inside = f'<a href="{_text(value.address)}">{_text(value.text)}</a>'
        elif isinstance(value, Noted):
            inside = f"{_text(value.text)}<small>{_text(value.note)}</small>"
        else:
            inside = _text(value)
        if is_last and number < len(head) - 1:
            return f'<td class=rest colspan="{len(head) - number}"><div>{inside}</div></td>'
        return f"<td{kinds[number]}>{inside}</td>"

    top = "".join(f"<th{kind}>{_text(name)}</th>" for kind, name in zip(kinds, head, strict=True))
    lines = (
        "".join(cell(number, value, number == len(row) - 1) for number, value in enumerate(row))
        for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<div class=scroll><table class=data><tr>{top}</tr>{body}</table></div>"


def _is_numeric(column: Sequence[Cell]) -> bool:
    """Whether every cell is a number, a dash or nothing, and not all of them nothing."""
    texts = [cell for cell in column if cell not in ("", "–")]
    return bool(texts) and all(isinstance(t, str) and t.lstrip("−")[:1].isdigit() for t in texts)


def _table(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{_text(name)}</td><td><code>{_text(_shown(value))}</code></td></tr>"
        for name, value in values.items()
    )
    return f"<div class=scroll><table>{rows}</table></div>"


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return '""' if value == "" else str(value)


def _text(value: Any) -> str:
    return html.escape(str(value))
