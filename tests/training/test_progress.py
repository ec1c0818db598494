"""What is seen of training: in a notebook one line that changes, elsewhere lines."""

import sys
from types import SimpleNamespace

import pytest

import vae
from tests.helpers import small_config
from vae.training import progress

CELL = """
import numpy as np
import vae

x = np.random.default_rng(0).normal(size=(100, 3))
model = vae.fit(x, workdir="run", latent_size=2, hidden=(4,), epochs=20, eval_epochs=1.0)
"""


class Display:
    """IPython's display, and the handle that it gives: every text shown in one place."""

    def __init__(self):
        self.texts = []

    def display(self, told, raw, display_id):
        self.update(told, raw)
        return self

    def update(self, told, raw):
        assert raw and set(told) == {"text/plain"}
        self.texts.append(told["text/plain"])


@pytest.fixture
def notebook(monkeypatch):
    """A process that runs cells, as far as training asks."""
    shown, kernel = Display(), SimpleNamespace(kernel=object())
    shells = SimpleNamespace(get_ipython=lambda: kernel, display=shown)
    monkeypatch.setitem(sys.modules, "IPython", shells)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    return shown


def test_a_notebook_shows_one_line_that_ends_full(notebook, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(progress.NotebookLine, "SECONDS", 0.0)
    vae.train(small_config(), str(tmp_path / "run"))
    assert "elbo" not in capsys.readouterr().out  # of which there are four lines elsewhere
    first, *_, last = notebook.texts
    assert first == f"0.0 {'░' * 20}   0%"
    assert last.startswith(f"4.0 {'█' * 20} 100% elbo ") and "distortion" in last
    shares = [text.count("█") for text in notebook.texts]
    assert shares == sorted(shares) and len(set(shares)) >= 5


def test_a_line_is_changed_so_many_times_a_second_and_its_end_is_shown(notebook, monkeypatch):
    now = iter([0.0, 0.05, 0.2, 0.21, 0.22])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    line = progress.NotebookLine("{task.fields[ended]}")
    task = line.add_task("", total=None, ended="", numbers="")
    line.start()
    line.update(task, total=4, completed=1, ended="0 of 2")  # too soon
    line.update(task, completed=2)
    line.update(task, completed=4, ended="2 of 2", numbers="a elbo -1.00")  # too soon
    line.stop()
    assert [text.split(" ") for text in notebook.texts] == [
        ["░" * 20, "", "", "0%"],
        ["0", "of", "2", "█" * 10 + "░" * 10, "", "50%"],
        ["2", "of", "2", "█" * 20, "100%", "a", "elbo", "-1.00"],
    ]


def test_a_shell_is_no_notebook(monkeypatch):
    assert not progress.in_notebook()
    shells = SimpleNamespace(get_ipython=lambda: SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython", shells)
    assert not progress.in_notebook()


@pytest.mark.slow
def test_a_cell_s_output_is_three_lines_and_one_that_changes(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    from tests.test_documents import ROOT

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    outputs = notebook.cells[0].outputs
    (line,) = (each for each in outputs if each.output_type == "display_data")
    assert line.data["text/plain"].startswith(f"20.0 {'█' * 20} 100% elbo")
    said = "".join(each.text for each in outputs if each.output_type == "stream")
    assert len(said.splitlines()) == 3 and "validation:" not in said
