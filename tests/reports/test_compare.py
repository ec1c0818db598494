import json

import numpy as np
import pytest

from tests.reports.fake import read
from vae import npz
from vae.errors import UserError
from vae.reports.compare import compare


@pytest.fixture
def two(make_run):
    """Two runs, of which the second has the better bound by a step from example to example."""
    first, second = make_run(name="first", latent_size=2), make_run(name="second", latent_size=3)
    better = json.loads((second / "evaluation.json").read_text())
    better["metrics"]["elbo"]["value"] = -80.5
    (second / "evaluation.json").write_text(json.dumps(better))
    nll = np.arange(40.0)
    shift = np.where(np.arange(40) % 2, 1.0, 3.0)
    npz.write(second / "per_example.npz", {"elbo": -nll, "nll_iwae_5000": nll - shift})
    return first, second


def test_runs_stand_beside_each_other(two, tmp_path):
    path = compare(two, tmp_path / "page", ("png", "pdf"))
    page, text = read(path)
    assert page.headings[:2] == ["Numbers", "Beside first"]
    assert "Best, of the highest validation ELBO (−9 nats): first. On 40 test examples" in text
    assert "model.latent_size 2 3" in text
    assert "second 1 " in text  # every ELBO is a nat better: no error
    # The mean of 3 and 1 by turns, and its error: a standard deviation of 1 over sqrt(39).
    assert "−2.00 ± 0.16" in text
    assert (tmp_path / "page" / "figures" / "validation.pdf").exists()
    assert len(list((tmp_path / "page" / "figures" / "samples").glob("*.png"))) == 2


def validated(workdir, elbo, split="validation"):
    line = {"step": 100, "epoch": 1.0, "split": split, "elbo": elbo}
    (workdir / "metrics.jsonl").write_text(json.dumps(line) + "\n")


def test_the_best_is_chosen_on_the_validation_set(two, tmp_path):
    """Not the one of the better test ELBO, which is only told."""
    validated(two[0], -70.0), validated(two[1], -71.0)
    assert (
        "Best, of the highest validation ELBO (−70 nats): first. On 40 test examples, ELBO: −91.23 "
        "± 0.31 nats; −log p(x), IWAE bound, K = 5,000: 88.50 ± 0.30 nats."
    ) in read(compare(two, tmp_path / "page"))[1]


def test_without_validation_the_choice_is_said_to_be_of_the_test_examples(two, tmp_path):
    validated(two[0], -70.0), validated(two[1], -71.0, "train")
    assert (
        "Best by ELBO: second. ELBO: −80.50 ± 0.31 nats (40 test examples, on which it was chosen)."
    ) in read(compare(two, tmp_path / "page"))[1]


def reconstructed(workdir, psnr, unit="over features"):
    path = workdir / "evaluation.json"
    of = json.loads(path.read_text())
    more = {"rate": 20.0 + psnr, "psnr": psnr, "reconstruction_frechet_distance": 90.0 - psnr}
    for name, number in more.items():
        entry = {"value": number, "stderr": None, "unit": unit, "better": "up", "label": name}
        of["metrics"][name] = entry
    path.write_text(json.dumps(of))


def test_realism_is_drawn_of_runs_that_were_measured_by_one_classifier(two, tmp_path):
    heading = "Rate, distortion and realism"
    reconstructed(two[0], 25.0)
    assert heading not in read(compare(two, tmp_path / "page"))[0].headings
    reconstructed(two[1], 27.0)
    assert heading in read(compare(two, tmp_path / "page"))[0].headings
    reconstructed(two[1], 27.0, "over other features")
    assert heading not in read(compare(two, tmp_path / "page"))[0].headings


def test_a_run_without_an_evaluation_is_named(two, tmp_path):
    (two[1] / "evaluation.json").unlink()
    text = read(compare(two, tmp_path / "page"))[1]
    assert "second has not been evaluated." in text
    assert "Test ELBO: −91.23 ± 0.31 nats" in text


def test_numbers_of_different_splits_are_not_compared(two, tmp_path):
    other = json.loads((two[1] / "evaluation.json").read_text()) | {"split": "validation"}
    (two[1] / "evaluation.json").write_text(json.dumps(other))
    page, text = read(compare(two, tmp_path / "page"))
    assert "not to be compared" in text and "Beside first" not in page.headings


def test_runs_of_one_name_are_told_apart_by_their_folders(make_run, tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    found = [make_run(name=name) for name in ("a/run", "b/run")]
    assert "a/run" in read(compare(found, tmp_path / "page"))[1]


def test_what_cannot_be_compared_is_refused_and_nothing_is_written(two, tmp_path):
    page = tmp_path / "page"
    for workdirs, reason in (
        (two[:1], "at least two"),
        ([two[0], two[0]], "twice"),
        ([two[0], tmp_path / "nothing"], "nothing is not a run directory"),
    ):
        with pytest.raises(UserError, match=reason):
            compare(workdirs, page)
    with pytest.raises(UserError, match="another --workdir"):
        compare(two, two[0])
    assert not page.exists() and not (two[0] / "report.html").exists()
    with pytest.raises(UserError, match="png"):
        compare(two, page, ("gif",))


def test_a_damaged_file_is_named(two, tmp_path):
    (two[1] / "per_example.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(UserError, match=r"second/per_example\.npz"):
        compare(two, tmp_path / "page")
