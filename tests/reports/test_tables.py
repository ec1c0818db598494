import pytest

from vae.reports.tables import format_table, format_value, metrics_table, typeset


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (88.91234, 0.3141, "88.91 ± 0.31"),
        (-1234.5, 12.3, "-1234 ± 12"),
        (3.51234, 0.00512, "3.5123 ± 0.0051"),
        (12, None, "12"),
        (12.0, 0.0, "12"),
        (0.123456789, None, "0.12346"),
        (60000, None, "60,000"),
        (float("nan"), 0.1, "nan"),
        (float("inf"), None, "inf"),
        (1.0, float("nan"), "1"),
    ],
)
def test_the_error_decides_the_digits(value, stderr, text):
    assert format_value(value, stderr) == text


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (-13752.4, 206.0, "−13,752 ± 206"),
        (98765.4, None, "98,765"),
        (-1e6, 1234.0, "−1,000,000 ± 1,234"),
        (0.5, 0.01, "0.500 ± 0.010"),
        (None, None, "–"),
    ],
)
def test_a_page_has_minus_signs_and_commas(value, stderr, text):
    assert typeset(value, stderr) == text


def test_numbers_stand_right_and_text_left():
    table = format_table([{"name": "a", "n": 7}, {"name": "long", "n": 1234}])
    assert table.splitlines() == ["name     n", "────  ────", "a        7", "long  1234"]


def test_columns_may_be_missing_chosen_and_in_markdown():
    rows = [{"a": 1, "b": "x", "c": 0}, {"b": "y"}]
    assert format_table(rows, ("b", "a"), markdown=True).splitlines() == [
        "| b | a |",
        "| - | : |",
        "| x | 1 |",
        "| y | – |",
    ]


def test_a_table_without_rows_is_its_head():
    assert format_table([], ("metric", "value")).splitlines()[0] == "metric  value"


def test_metrics_with_their_units():
    metrics = {
        "elbo": {"value": -90.0, "stderr": 0.25, "unit": "nats"},
        "active_units": {"value": 20, "stderr": None, "unit": "latents of 50"},
    }
    lines = metrics_table({"metrics": metrics}).splitlines()
    assert lines[2].split() == ["elbo", "-90.00", "±", "0.25", "nats"]
    assert lines[3].split() == ["active_units", "20", "latents", "of", "50"]


def test_a_bar_in_a_cell_is_no_column():
    assert format_table([{"a": "q(z|x)"}], markdown=True).splitlines()[-1] == r"| q(z\|x) |"
    assert format_table([{"a": "q(z|x)"}]).splitlines()[-1] == "q(z|x)"
