"""Recommendation from likes to titles: users of two tastes, who like what is of theirs."""

import json
import shutil

import numpy as np
import pytest

import vae
from tests.helpers import small_config
from tests.margins import above
from vae.__main__ import main
from vae.errors import UserError
from vae.evaluation.recommend import _number as item

ITEMS, USERS = 20, 1_500
TITLES = [f"{taste} {number}" for taste in ("Alien", "Brief") for number in range(ITEMS // 2)]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("likes")
    rng = np.random.default_rng(0)
    taste = rng.integers(0, 2, USERS)
    mine = (np.arange(ITEMS) // (ITEMS // 2))[None] == taste[:, None]
    x = (rng.random((USERS, ITEMS)) < np.where(mine, 0.7, 0.02)).astype(np.uint8)
    x = x[x.sum(1) >= 5]
    np.savez(folder / "likes.npz", x=x, columns=np.array(TITLES))
    config = small_config(
        data__name="files", data__path=str(folder / "likes.npz"), data__kind="counts",
        data__binarization="none", model__likelihood="multinomial", model__input_dropout=0.5,
        objective__beta=0.2, train__epochs=15, train__eval_epochs=5.0,
        eval__metrics=("recommendation",),
    )  # fmt: skip
    return vae.train(config, str(folder / "run"))


def test_liked_items_that_were_held_back_come_first(workdir):
    metrics = vae.evaluate(workdir)["metrics"]
    # A random ranking of about 15 items not shown, a fifth of 7 likes among them.
    above(metrics["ndcg_100"]["value"], 0.5)
    assert metrics["ndcg_100"]["value"] <= 1.0 > metrics["ndcg_100"]["stderr"] > 0.0
    assert metrics["recall_20"]["value"] == 1.0  # there are 20 items
    assert "20% of whose likes are held back" in metrics["ndcg_100"]["unit"]


def recommend(workdir, *flags):
    return main(["recommend", f"--workdir={workdir}", *flags])


def test_a_user_is_told_titles_of_the_same_taste(workdir, capsys):
    flags = ("--user=Alien 1", "--user=alien 2", "--user=3", "--num=7")
    assert recommend(workdir, *flags) == 0
    lines = capsys.readouterr().out.splitlines()
    titles = [line.split("  ")[-1] for line in lines]
    assert sorted(titles) == [f"Alien {number}" for number in (0, 4, 5, 6, 7, 8, 9)]
    shares = [float(line.split("%")[0]) for line in lines]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--user=Alien 11"], "did you mean 'Alien 1'"),
        (["--user=alien"], "may be 'Alien 0', 'Alien 1'"),
        (["--user=20"], "a number from 0 to 19"),
        (["--user=Alien 1", "--num=0"], "give 1 or more"),
        ([], "user"),
    ],
)
def test_wrong_users_are_refused(workdir, capsys, flags, words):
    assert recommend(workdir, *flags) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.strip().splitlines()) <= 2


def test_a_run_of_something_else_is_refused(tmp_path, capsys):
    config = small_config(train__epochs=1, data__size=200)
    other = vae.train(config, str(tmp_path / "digits"))
    assert recommend(other, "--user=1") == 2
    assert "is no run of likes" in capsys.readouterr().err
    assert recommend(tmp_path / "none", "--user=1") == 2
    with pytest.raises(vae.errors.UserError, match="recommendation is of likes"):
        vae.evaluate(other, metrics=("recommendation",))


@pytest.mark.parametrize(
    ("titles", "name", "number"),
    [
        (["a", "b", "c"], "2", 2),  # its place, where titles are no numbers
        (["10", "20", "30"], "20", 1),
        (["10", "20", "3 men"], "men", 2),
        (["10", "20", "30"], "2", None),  # neither the third nor short for "20"
        (["10", "20", "30"], "7", None),
        (["a", "b", "c"], "3", None),
        (["a", "b", "c"], "²", None),
        (["a", "b", "c"], "٢", None),
    ],
)
def test_a_number_is_the_title_that_it_is(titles, name, number):
    if number is None:
        with pytest.raises(UserError, match="is no item of the data"):
            item(name, titles)
    else:
        assert item(name, titles) == number


def test_ids_that_are_whole_numbers_are_titles(workdir, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(workdir, run)
    described = json.loads((run / "data.json").read_text())
    described["columns"] = [10 * number for number in range(ITEMS)]  # as older runs kept them
    (run / "data.json").write_text(json.dumps(described))
    assert recommend(run, "--user=20", "--num=3") == 0
    assert all(int(line.split()[-1]) % 10 == 0 for line in capsys.readouterr().out.splitlines())
    assert recommend(run, "--user=7") == 2
    assert "give a title\n" in capsys.readouterr().err
