"""Templates filled with what a page shows: one self-contained HTML file that fetches nothing.

Whatever a template is given is escaped, but for the project's own style and script.
"""

import base64
import dataclasses
import functools
import json
import os
import re
import shlex
import struct
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vae import runs
from vae.config import flatten
from vae.errors import typed
from vae.reports import figures
from vae.reports.tables import typeset_metric

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
LETTERS = 10  # pixels, of the smallest letters of a chart on a phone


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table that is more than a text."""

    text: str
    address: str = ""  # of the page that it leads to, relative to its own, quoted
    note: str = ""  # a softer text under it, which may run over several lines


@dataclasses.dataclass(frozen=True)
class Table:
    """Results; the last cell of a row that is shorter than the head fills it up."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    best: int | None = None  # the row that is marked

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers, dashes and nothing else: they stand right."""
        full = [row for row in self.rows if len(row) == len(self.head)]
        return [_is_numeric([row[number] for row in full]) for number in range(len(self.head))]


def _is_numeric(column: Sequence[str | Cell]) -> bool:
    texts = [cell for cell in column if cell not in ("", "–")]
    return bool(texts) and all(isinstance(t, str) and t.lstrip("−")[:1].isdigit() for t in texts)


def write(path: Path, template: str, environment: Mapping[str, Any], **values: Any) -> Path:
    """Writes a page, whole or not at all, and returns its path.

    Args:
      environment: what the page ends with: the command, versions and the like, nested or not.
      values: what else the template names.
    """
    known = dict(flatten(environment))
    command = known.pop("command", None)
    page = _templates().get_template(template)
    text = page.render(values, command=command, environment=known, typed=typed())
    path.parent.mkdir(parents=True, exist_ok=True)
    with runs.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


@functools.cache
def _templates() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "as_json": functools.partial(json.dumps, ensure_ascii=False),
        "contents": contents,
        "least_width": least_width,
        "commas": "{:,}".format,
        "picture": picture,
        "quoted": shlex.quote,
        "setting": setting,
        "typeset": typeset_metric,
    }
    for name in ("page.css", "page.js"):
        text = (HERE / name).read_text(encoding="utf-8")
        found.globals[name.replace(".", "_")] = Markup(text)
    return found


def least_width(path: Path) -> int:
    """Pixels of a page that a chart needs for its smallest letters to be of LETTERS pixels."""
    width, _ = struct.unpack(">II", path.read_bytes()[16:24])  # where a PNG has them
    return round(LETTERS * width / figures.DPI * 72 / figures.LEAST)


def contents(page: str) -> dict[str, Any]:
    """A page's sections with addresses in it: the new `text`, and (address, title) of each."""
    from markupsafe import Markup

    found: list[tuple[str, Markup]] = []

    def addressed(heading: re.Match) -> str:
        found.append((f"part{len(found) + 1}", Markup(heading[1])))
        return f'<h2 id="{found[-1][0]}">{heading[1]}</h2>'

    text = re.sub("<h2>(.*?)</h2>", addressed, page)
    return {"text": Markup(text), "titles": found}


def picture(path: Path) -> str:
    """A PNG as the address of itself."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def setting(value: Any) -> str:
    """A value of a config, as a page shows it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return '""' if value == "" else str(value)


def leading(text: str, workdir: Path, directory: Path) -> str | Cell:
    """A cell that leads from a page in `directory` to that of a run, if it has one."""
    page = workdir.resolve() / "report.html"
    if not page.exists():
        return text
    return Cell(text, urllib.parse.quote(os.path.relpath(page, directory.resolve())))
