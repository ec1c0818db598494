"""Trained runs elsewhere: `push` to the Hugging Face hub or a folder, `pull` back.

What is pushed is itself a run directory, with a model card: what `vae.load` and `evaluate` read of
a run, the weights alone of the checkpoint that is evaluated, and no path of the machine but those
in the command. Data that the run keeps, as `vae.fit` does, are left out unless they are asked for.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vae import config as configs
from vae import gathering, in_memory, npz, run_files, runs
from vae.checkpoint import Checkpoints
from vae.data import again
from vae.errors import RunError, UserError
from vae.evaluation.trained import Trained, load
from vae.paths import absolute
from vae.reports import card

PREFIX = "hub:"
CARD = "README.md"
COPIED = ("data.json", "environment.json", "metrics.jsonl", "evaluation.json")
PATTERNS = ("config.json", *COPIED, CARD, *in_memory.NAMES, "checkpoints/*")
REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def push(
    workdir: str | Path,
    to: str | Path,
    with_data: bool = False,
    public: bool = False,
    licence: str = "",
) -> str:
    """Uploads a finished run; returns the address, or the folder.

    Args:
      to: USER/NAME of the hub, also as hub:USER/NAME; or a folder, which is made.
      with_data: also the data that the run keeps.
      public: whether all may see a repository that is new; one that is there stays as it is.
      licence: the hub's name of one, such as apache-2.0; "" says nothing.

    Raises:
      UserError: no finished run there, or no such place; nothing was uploaded.
      RunError: the hub cannot be reached, or refuses.
    """
    workdir, repo = Path(workdir), repository(to)
    if licence and not LICENCE.fullmatch(licence):
        raise UserError(f"--licence={licence}: give the hub's name of one, such as apache-2.0")
    folder = Path(tempfile.gettempdir()) if repo else _free(to, "--to")
    if repo:
        _library()
    _check_finished(workdir)
    data = [workdir / name for name in in_memory.NAMES if (workdir / name).exists()]
    if with_data and not data:
        raise UserError(f"--with_data: {workdir} keeps no data, it was trained on those of a path")
    run = load(workdir)
    if not repo:
        with _whole(folder) as temporary:
            _write(run, temporary, data if with_data else [], folder.name, licence)
        return str(folder)
    with tempfile.TemporaryDirectory() as temporary:
        _write(run, Path(temporary), data if with_data else [], PREFIX + repo, licence)
        return _upload(repo, temporary, public)


def pull(source: str | Path, workdir: str | Path, data: str | Path = "") -> str:
    """Brings a pushed run into a new run directory, whole or not at all; returns its path.

    Args:
      source: USER/NAME of the hub, also as hub:USER/NAME; or the folder that it was pushed to.
      data: where this machine has the own data that the run was trained on; "" where it is a data
        set by name, or its data came along, or are not needed.

    Raises:
      UserError: the directory holds something, or what is there is no run; nothing is left.
      RunError: the hub cannot be reached, or what came is damaged; nothing is left.
    """
    repo, folder = repository(source), _free(workdir, "--workdir")
    if not repo and not Path(source).is_dir():
        raise UserError(f"{source} is neither USER/NAME of the hub nor a folder")
    with _whole(folder) as temporary:
        if repo:
            _download(repo, temporary)
            shutil.rmtree(temporary / ".cache", ignore_errors=True)  # of the hub's library
        else:
            _copy(Path(source), temporary)
        _check(temporary, repo or str(source))
        if data:
            _point_to(temporary, data)
    return str(folder)


def cached(address: str) -> Path:
    """The folder in the hub's own cache of what hub:USER/NAME has, fetched where it is not the
    newest; without a network, what was fetched before."""
    return _download(repository(address))


def repository(where: str | Path) -> str:
    """USER/NAME where the hub is meant; "" where a folder is.

    Raises:
      UserError: it may be either.
    """
    text = str(where)
    name = text.removeprefix(PREFIX)
    if name != text and not REPO.fullmatch(name):
        raise UserError(f"{text}: give hub:USER/NAME")
    if name != text or not REPO.fullmatch(text):
        return name if name != text else ""
    if Path(text).is_dir():
        return ""
    if Path(text).parent.is_dir():
        raise UserError(f"{text} may be of the hub or a folder: write hub:{text} or ./{text}")
    return text


def _free(path: str | Path, flag: str) -> Path:
    """A folder's whole path.

    Raises:
      UserError: something is there.
    """
    folder = Path(absolute(str(path)))
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder} is there and holds something: give another {flag}")
    return folder


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` to write to; it takes its place once it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    npz.sweep_up(folder.parent, folder.name)
    temporary = folder.with_name(f".{os.getpid()}.{folder.name}")
    temporary.mkdir()
    try:
        yield temporary
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_finished(workdir: Path) -> None:
    config = runs.read_config(workdir)
    records = runs.read_metrics(workdir)
    last = records[-1] if records else {"epoch": 0.0}
    state = gathering.state(workdir, config, last, runs.failure(workdir))
    if state not in ("done", "evaluated"):
        raise UserError(f"{workdir} holds no finished run (it is {state}): train it to its end")


def _write(run: Trained, folder: Path, data: list[Path], address: str, licence: str) -> None:
    """Writes what is pushed of a run into a folder.

    Args:
      address: where it goes, for the card.
    """
    config = ConfigDict(run.config.to_dict())
    config.data.dir = ""
    config.data.path = Path(config.data.path).name
    config.train.init_from = Path(config.train.init_from).name
    runs.write_atomic(folder / "config.json", configs.to_json(config))
    for path in (*(run.workdir / name for name in COPIED), *data):
        if path.exists():
            shutil.copyfile(path, folder / path.name)
    weights = "ema" if config.train.ema else "params"
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(run.step, {weights: run.params}, None)
    text = card.text(run, address, licence, bool(data))
    (folder / CARD).write_text(text, encoding="utf-8")


def _copy(source: Path, folder: Path) -> None:
    """Copies what a pushed run has, and nothing else that may be in its folder."""
    for path in (source / name for name in PATTERNS[:-1]):
        if path.exists():
            shutil.copyfile(path, folder / path.name)
    if (source / "checkpoints").is_dir():
        shutil.copytree(source / "checkpoints", folder / "checkpoints")


def _check(folder: Path, source: str) -> None:
    """Raises UserError or RunError where a folder is not a whole run."""
    if not (folder / "config.json").exists() or not (folder / "checkpoints").exists():
        raise UserError(f"{source} holds no pushed run: {PREFIX}USER/NAME is what push wrote")
    try:
        runs.read_config(folder)
        run_files.read_data(folder)
        with Checkpoints(folder, read_only=True) as checkpoints:
            for step in checkpoints.steps():
                checkpoints.load(step)
    except (UserError, RunError) as error:
        said = str(error).replace(f"{folder}{os.sep}", "").split(": restore")[0]
        raise type(error)(f"{source} cannot be used: {said}") from None


def _point_to(folder: Path, data: str | Path) -> None:
    """Writes where the run's own data are, once their contents are found to be the same."""
    config = ConfigDict(runs.read_config(folder).to_dict())
    came = [name for name in in_memory.NAMES if (folder / name).exists()]
    if config.data.name != "files" or came:
        why = f"its data came along, as {came[0]}" if came else f"it is of {config.data.name}"
        raise UserError(f"--data={data} is not for this run: {why}")
    config.data.path = absolute(str(data))
    again.load(folder, config, run_files.read_data(folder))
    runs.write_atomic(folder / "config.json", configs.to_json(config))


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise UserError("the hub needs huggingface_hub: pip install 'vae[hub]'") from None
    return huggingface_hub


def _upload(repo: str, folder: str, public: bool) -> str:
    hub = _library()
    with _talking(repo):
        hub.HfApi().create_repo(repo, private=not public, exist_ok=True)
        hub.HfApi().upload_folder(
            repo_id=repo, folder_path=folder, commit_message="A run of vae",
            delete_patterns=list(PATTERNS),
        )  # fmt: skip
    return f"https://huggingface.co/{repo}"


def _download(repo: str, folder: Path | None = None) -> Path:
    hub = _library()
    with _talking(repo):
        found = hub.snapshot_download(repo, allow_patterns=list(PATTERNS), local_dir=folder)
    return Path(found)


@contextmanager
def _talking(repo: str) -> Iterator[None]:
    """Turns what the hub's library raises, of many types, into one RunError."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # a full disk
            raise
        status = getattr(getattr(error, "response", None), "status_code", None)
        said = (str(error).splitlines() or [type(error).__name__])[0]
        if status in (401, 403, 404) or "Token" in type(error).__name__:
            raise RunError(
                f"the hub does not give {repo} to you: check the name, or log in by hf auth login"
            ) from error
        if status:
            raise RunError(f"the hub refuses {repo} ({said}): try again later") from error
        raise RunError(f"cannot reach the hub for {repo} ({said}): check the network") from error
