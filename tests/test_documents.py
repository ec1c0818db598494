"""What the documents say to type runs; so do the notebooks, and the site is made of both."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from vae.__main__ import VERBS

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHELL, PYTHON = ("", "bash"), ("python",)

DOWNLOADS, HOURS = "downloads its data", "hours of training"
HOSTS = "several hosts: tests/test_hosts.py, test_clusters.py and sweeps/test_slurm.py have them"
NOT_RUN = {  # page and first line of a block: what it needs that a test has not
    ("README.md", "./launch.sh reproduce iwae_table1 --data_dir=data --scale=cpu"): HOURS,
    ("applications.md", "./launch.sh train --config=configs/conv_mnist.py"): DOWNLOADS,
    ("applications.md", "./launch.sh reproduce apps_augmentation --data_dir=data"): HOURS,
    ("applications.md", "./launch.sh prepare adbench --data_dir=data"): DOWNLOADS,
    ("applications.md", ".venv/bin/pip install -e '.[apps]'"): DOWNLOADS,
    ("applications.md", "./launch.sh prepare movielens_100k --data_dir=data"): DOWNLOADS,
    ("clusters.md", "vae train --config=mnist --workdir=/shared/run "): HOSTS,
    ("clusters.md", "srun --nodes=2"): HOSTS,
    ("clusters.md", "gcloud compute tpus tpu-vm ssh"): HOSTS,
    ("clusters.md", "kubectl apply"): HOSTS,
    ("clusters.md", "mpirun -np 2"): HOSTS,
    ("objectives.md", "def judge(*, critic_hidden):"): "a sketch; extend.md has one that runs",
    ("evaluation.md", "from vae.metrics import Kind, by_name"): "a sketch of a file of the package",
    ("evaluation.md", "from vae.scores import disentanglement"): "takes the reader's arrays",
}
INSTEAD = (  # of what a page says, in what it is run as
    (r"(?m)^\./launch\.sh (test|setup|docs|help)\b.*$", ":"),  # tests/test_launch.py has them
    (r"(?m)^\./launch\.sh\s*(#.*)?$", "vae quickstart"),
    (r"\./launch\.sh", "vae"),
    (r"(?m)^(git clone|cd vae$|\S*pip install|python3? -m venv|\. |\S+ -m http\.server).*$", ":"),
    (r"(?m)^vae prepare (mnist|movielens_100k) .*$", ":"),  # a download; MNIST is now the digits
    (r"--config=configs/mnist\.py --config\.data\.dir=data", "--config=digits"),
    (r"--config=mnist --config\.data\.dir=data", "--config=digits"),
    (r"--target=v5e:\S+", "--target=cpu"),  # tests/hardware/test_plan.py has the compilers
    (r"log\(0\.25,4,5\)", "log(0.25,4,2)"),  # fewer trials
    (r"--seeds=3", "--seeds=1"),
)
# A process in which nobody has to wait: fewer epochs where none are asked for.
QUICK = """
import dataclasses, os, runpy, sys
from vae import keys, quickstart
from vae.__main__ import main

quickstart.EPOCHS = 5
key = dataclasses.replace(keys.KEYS["train.epochs"], default=5)
keys.KEYS["train.epochs"] = keys.GROUPS["train"]["epochs"] = key
if sys.argv[1].endswith("snippet.py"):
    runpy.run_path(sys.argv[1], run_name="__main__")
else:
    sys.exit(main(sys.argv[1:]))
"""


class Block(NamedTuple):
    """A block of code in a page."""

    language: str
    text: str

    @property
    def first(self) -> str:
        return self.text.lstrip().partition("\n")[0]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page that can be run."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.M | re.S)
    return [Block(*each) for each in found if each[0] in (*SHELL, *PYTHON)]


def reason(page: Path, block: Block) -> str:
    """Why a block is not run; "" for one that is."""
    fits = (
        why for (name, first), why in NOT_RUN.items()
        if name == page.name and block.first.startswith(first)
    )  # fmt: skip
    return next(fits, "")


def environment(folder: Path) -> dict[str, str]:
    """That of a reader who has installed the package; `vae` is in `folder`."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": os.pathsep.join((str(folder), os.environ["PATH"])),
        "VAE_COMMAND": "vae",
        "XLA_FLAGS": "",
    }


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """A folder with the command `vae`, and `snippet`, which runs a file of Python as quickly."""
    folder = tmp_path_factory.mktemp("tools")
    (folder / "quick.py").write_text(QUICK)
    for name in ("vae", "snippet"):
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{folder}/quick.py" "$@"\n')
        path.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def quickstart(tools, tmp_path_factory):
    """A folder in which the quick start was run."""
    folder = tmp_path_factory.mktemp("quickstart")
    run(["vae", "quickstart"], folder, tools)
    return folder / "runs"


def run(command: list[str], folder: Path, tools: Path) -> None:
    done = subprocess.run(
        [shutil.which(command[0], path=f"{tools}:{os.environ['PATH']}"), *command[1:]],
        cwd=folder, env=environment(tools), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    said = f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, f"{' '.join(command)}\n{said}"


def stand_ins(folder: Path) -> None:
    """Small data under the names that pages give to a reader's own."""
    from PIL import Image
    from sklearn.datasets import load_breast_cancer

    rng = np.random.default_rng(0)
    measured = load_breast_cancer(as_frame=True)
    table = measured.data.round(4)
    table["diagnosis"] = measured.target_names[measured.target]
    for name in ("table.csv", "new.csv"):
        table.to_csv(folder / name, index=False)
    table[table.diagnosis == "benign"].to_csv(folder / "ordinary.csv", index=False)
    holes = rng.random(measured.data.shape) < 0.05
    table[measured.data.columns] = table[measured.data.columns].mask(holes)
    table.to_csv(folder / "survey.csv", index=False)
    for n in range(60):
        place = folder / "photos" / ("cats" if n % 2 else "dogs")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 48, 3)).astype(np.uint8)).save(place / f"{n}.png")
    counts = rng.poisson(rng.gamma(2.0, 2.0, (300, 1)), (300, 40))
    rows(folder / "counts.csv", [f"word {n}" for n in range(40)], counts)
    likes = (rng.random((200, 30)) < 0.3).astype(int)
    likes[:, :3] = 1
    titles = ["Toy Story (1995)", "Fargo (1996)", *(f"film {n}" for n in range(28))]
    rows(folder / "likes.csv", titles, likes)
    cells(folder / "cells.h5ad", counts)
    smiles = np.array(["CCO", "CCN", "CC(=O)O", "c1ccccc1", "CC#N", "C1CC1", "CNC", "CC=O"])
    (folder / "molecules").mkdir()
    rows(folder / "molecules" / "qm9.csv", ["smiles"], smiles[rng.integers(0, 8, (600, 1))])


def rows(path: Path, names: list[str], values: np.ndarray) -> None:
    lines = [names, *values.tolist()]
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))


def cells(path: Path, counts: np.ndarray) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["X"] = counts.astype(np.float32)
        for name, size in zip(("obs", "var"), counts.shape, strict=True):
            group = file.create_group(name)
            group.attrs["_index"] = "_index"
            group["_index"] = [f"{name} {n}" for n in range(size)]
        file["obs"]["cell_type"] = ["B", "T"] * (len(counts) // 2)
        file["obs"]["batch"] = ["one", "one", "two"] * (len(counts) // 3)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_says_to_type_runs(page, tools, quickstart, tmp_path):
    stand_ins(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    shutil.copytree(quickstart, tmp_path / "runs")
    for block in blocks(page):
        if reason(page, block):
            continue
        if block.language in PYTHON:
            (tmp_path / "snippet.py").write_text(block.text)
            run(["snippet", "snippet.py"], tmp_path, tools)
            continue
        text = block.text
        for pattern, other in INSTEAD:
            text = re.sub(pattern, other, text)
        run(["bash", "-euc", text], tmp_path, tools)


def test_what_is_not_run_is_there():
    found = {page.name: [block.first for block in blocks(page)] for page in PAGES}
    for name, first in NOT_RUN:
        assert any(each.startswith(first) for each in found[name]), (name, first)


def test_every_verb_is_explained():
    text = (ROOT / "docs" / "commands.md").read_text()
    for verb in VERBS:
        assert re.search(rf"^\| `{verb}\b", text, re.M), verb


def test_notebooks_are_small_and_hold_no_output():
    assert len(NOTEBOOKS) == 6
    for path in NOTEBOOKS:
        assert path.stat().st_size < 20_000
        for cell in json.loads(path.read_text())["cells"]:
            assert not cell.get("outputs") and cell.get("execution_count") is None


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()


@pytest.mark.slow
def test_the_site_is_built_and_needs_no_network(tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES) + len(NOTEBOOKS)
    for page in pages:
        loaded = re.findall(r'<(?:script|img|link|iframe)\b[^>]*(?:src|href)="(https?:[^"]+)"',
                            page.read_text())  # fmt: skip
        assert not loaded, (page.name, loaded)
    _search(site)


def _search(site):
    """Pages that are opened as files can be searched, and fetch nothing from elsewhere."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name in ("index.html", "notebooks/counts.html"):
            page, asked = browser.new_page(viewport={"width": 1400, "height": 900}), []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto((site / name).as_uri())
            page.locator(".md-search__input").click()
            page.keyboard.type("halving")
            page.locator(".md-search-result__link").first.wait_for()
            assert all(url.startswith(("file:", "data:")) for url in asked), asked
        browser.close()
