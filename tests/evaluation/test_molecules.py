"""Molecules from SMILES to generated SMILES, and their metrics on molecules that are known."""

import gzip

import numpy as np
import pytest

import vae
from tests.helpers import small_config
from tests.margins import above
from vae import data
from vae.__main__ import main
from vae.data import again, qm9
from vae.errors import UserError
from vae.reports.page import report
from vae.training.trial import describe_data

pytest.importorskip("rdkit", reason="molecules need the extra apps")
pytest.importorskip("selfies", reason="molecules need the extra apps")

from vae.scores import smiles  # noqa: E402  (after it is known that they can be read)

SMILES = [
    a + b + c
    for a in ("C", "N", "O", "CC", "N#C", "C1CC1", "FC")
    for b in ("", "C", "C(C)", "C(=O)", "C(O)")
    for c in ("C", "N", "O", "F", "C#N", "C1CO1")
] + ["C", "N", "O", "O=N(=O)C1=CC=CN1"]  # fmt: skip


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("qm9")
    with gzip.open(folder / "qm9.csv.gz", "wt") as file:
        file.write("number,smiles\n" + "".join(f"{n},{s}\n" for n, s in enumerate(SMILES)))
    for name in ("qm9", "qm9_smiles"):
        data.prepare(name, str(folder / "D"), str(folder))
    return folder / "D"


@pytest.fixture(scope="module")
def config(prepared):
    def small(name, monkeypatch, **changes):
        from vae.data import table

        row = table.ROWS[name].__class__(
            **{**table.ROWS[name].__dict__, "validation": 20, "test": 30}
        )
        monkeypatch.setitem(table.ROWS, name, row)
        return small_config(
            data__name=name, data__dir=str(prepared), data__binarization="none",
            data__context="scaled", model__encoder="gru", model__decoder="gru",
            model__likelihood="categorical_tokens", model__regressor="mlp", model__latent_size=8,
            model__word_dropout=0.1, objective__name="property_vae", objective__beta=0.05,
            optimizer__learning_rate=1e-2, **changes,
        )  # fmt: skip

    return small


@pytest.mark.parametrize("name", ["qm9", "qm9_smiles"])
def test_tokens_spell_the_molecules_they_were_made_of(prepared, name):
    with np.load(prepared / name / "1.0" / "arrays.npz") as arrays:
        ids, context, vocabulary = (arrays[k] for k in ("x", "context", "vocabulary"))
    vocabulary = vocabulary.tolist()
    assert vocabulary[0] == qm9.END and (ids[:, -1] == 0).all()
    assert 0 in qm9.never_first(vocabulary)
    assert not np.isin(ids[:, 0], qm9.never_first(vocabulary)).any()
    for row, written, known in zip(ids, SMILES, context, strict=True):
        text = qm9.smiles_of(smiles.tokens(row, vocabulary), vocabulary)
        assert smiles.canonical(text) == smiles.canonical(written)
        assert known == pytest.approx(qm9.properties(qm9.molecule(written)), rel=1e-5)


def test_what_a_model_must_know_of_them_is_kept_with_its_run(config, monkeypatch):
    settings = config("qm9", monkeypatch)
    dataset = data.load(settings.data)
    assert 0 in dataset.never_first and len(dataset.never_first) > 1  # rings and branches too
    described = describe_data(settings, dataset)
    assert again.never_first(described) == dataset.never_first
    older = {key: value for key, value in described.items() if key != "never_first"}
    assert again.never_first(older) == dataset.never_first
    assert again.never_first({}) == again.never_first({"vocabulary": ["a", "b"]}) == ()


def test_metrics_of_known_molecules():
    reference = sorted({smiles.canonical(s) for s in SMILES})
    same = smiles.scores(reference * 2, reference * 2, reference)
    assert same["validity"].value == 1.0 and same["uniqueness"].value == 0.5
    assert same["novelty"].value == 0.0
    assert same["frechet_morgan"].value == pytest.approx(0.0, abs=1e-6)
    assert same["wasserstein_weight"].value == 0.0
    made = ["CCO", "CCO", "", "CCCCCCBr"]
    found = {k: m.value for k, m in smiles.scores(made, made * 100, ["CCO"]).items()}
    assert found["validity"] == 0.75
    assert found["uniqueness"] == pytest.approx(2 / 3) and found["novelty"] == 0.5
    assert "frechet_morgan" not in found
    heavier = smiles.scores(["CCCCCC"] * 400, ["CCCCC"] * 400, [])
    assert heavier["wasserstein_weight"].value == pytest.approx(14.027, abs=0.01)
    assert heavier["diversity"].value == 0.0
    with pytest.raises(UserError, match="none of 2 sequences"):
        smiles.scores(["", ""], reference, reference)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qm9", "qm9_smiles"])
def test_a_model_of_molecules_learns_and_generates(config, tmp_path, monkeypatch, name, capsys):
    settings = config(name, monkeypatch, model__hidden=(32,), train__epochs=150,
                      train__eval_epochs=50.0, eval__metrics=("molecules",))  # fmt: skip
    workdir = vae.train(settings, str(tmp_path / "run"))
    result = vae.evaluate(workdir)["metrics"]
    found = {key: metric["value"] for key, metric in result.items()}
    # Every sequence of SELFIES that begins with an atom is a molecule.
    if name == "qm9":
        assert found["validity"] == 1.0
    else:
        above(found["validity"], 0.3)
    above(found["reconstruction"], 0.3)
    above(found["r2_2"], 0.5)  # the weight
    assert 0.0 < found["uniqueness"] <= 1.0
    out = tmp_path / "new.smi"
    flags = [f"--workdir={workdir}", f"--output={out}", "--num=50"]
    assert main(["generate", *flags]) == 0
    lines = out.read_text().split()
    assert lines and all(smiles.canonical(line) == line for line in lines)
    assert f"{len(lines)} of 50 are molecules" in capsys.readouterr().out
    assert main(["generate", *flags, "--seed=0"]) == 0 and out.read_text().split() == lines
    assert "molecules among 400" in report(workdir).read_text()
    run = vae.load(workdir)
    x = run.examples("test", 4)
    assert run.reconstruct(x).shape == x.shape and run.predict(run.encode(x)[0]).shape == (4, 3)


def test_wrong_input_to_generate_is_refused_and_nothing_written(tmp_path, capsys):
    other = vae.train(small_config(train__epochs=1, data__size=200), str(tmp_path / "digits"))
    for flags, words in (
        ([f"--workdir={other}", f"--output={tmp_path}/a.smi"], "not trained on molecules"),
        ([f"--workdir={other}", f"--output={tmp_path}/a.txt"], "ends in .smi"),
        ([f"--workdir={other}", f"--output={tmp_path}/a.smi", "--num=0"], "num=0: give a whole"),
        ([f"--workdir={tmp_path}/none", f"--output={tmp_path}/a.smi"], "not a run directory"),
    ):
        assert main(["generate", *flags]) == 2
        assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("a.*"))


@pytest.mark.parametrize(
    ("text", "words"),
    [("smiles\nC\nC1CC\n", "molecule 1: 'C1CC' is not SMILES"), ("x\nC\n", "no column named")],
)
def test_wrong_molecules_are_named(tmp_path, text, words):
    (tmp_path / "qm9.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        data.prepare("qm9", str(tmp_path / "D"), str(tmp_path))
    assert not (tmp_path / "D" / "qm9").exists()
