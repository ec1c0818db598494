"""Plain-text and Markdown tables: results on the terminal and in the README."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def format_value(value: float, stderr: float | None = None, mark: str = "") -> str:
    """A number with its standard error, both cut where the error's second digit is.

    Args:
      mark: "," between thousands of numbers that are not whole, too.

    >>> format_value(88.91234, 0.3141)
    '88.91 ± 0.31'
    >>> format_value(12, None)
    '12'
    """
    if not stderr or not math.isfinite(value) or not math.isfinite(stderr):
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:{mark}.5g}"
    decimals = min(max(1 - math.floor(math.log10(stderr)), 0), 6)
    return f"{value:{mark}.{decimals}f} ± {stderr:{mark}.{decimals}f}"


def typeset(value: float | None, stderr: float | None = None) -> str:
    """The same for pages: a minus sign, commas between thousands, a dash where it is missing."""
    return "–" if value is None else format_value(value, stderr, ",").replace("-", "−")


def typeset_metric(metric: Mapping[str, Any] | None) -> str:
    """A metric of `evaluation.json`, typeset."""
    return typeset(metric["value"], metric.get("stderr")) if metric else typeset(None)


def format_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None, markdown: bool = False
) -> str:
    """Rows as aligned text, numbers to the right, a missing value as a dash.

    Args:
      rows: one mapping a row, column name to value.
      columns: which columns, in which order; by default all, as they first appear.
      markdown: a Markdown table rather than one for the terminal.
    """
    if columns is None:
        columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name)) for name in columns] for row in rows]
    if markdown:
        cells = [[text.replace("|", "\\|") for text in row] for row in cells]
    right = [_is_numeric(row.get(name) for row in rows) for name in columns]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]

    def line(texts: Sequence[str]) -> str:
        padded = [
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(texts, widths, right, strict=True)
        ]
        return f"| {' | '.join(padded)} |" if markdown else "  ".join(padded).rstrip()

    if markdown:
        rules = ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, right, strict=True)]
        rule = f"| {' | '.join(rules)} |"
    else:
        rule = "  ".join("─" * width for width in widths)
    return "\n".join([line(columns), rule, *map(line, cells)])


def metrics_table(evaluation: Mapping[str, Any], markdown: bool = False) -> str:
    """The metrics of an `evaluation.json`: name, value ± standard error, unit."""
    rows = [
        {
            "metric": name,
            "value": format_value(metric["value"], metric.get("stderr")),
            "unit": metric.get("unit", ""),
        }
        for name, metric in evaluation["metrics"].items()
    ]
    return format_table(rows, ("metric", "value", "unit"), markdown)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return format_value(value)
    return str(value)


def _is_numeric(values: Any) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, int | float) for value in present)
