"""`check`: parts that keep the contract pass, and the check for a planted fault finds it."""

import sys
from pathlib import Path

import pytest

from vae import contract
from vae.__main__ import main
from vae.errors import UserError

LAB = Path(__file__).parent / "outside"
GOOD = ("encoder", "matched", "scaled", "logistic")


@pytest.fixture(scope="module", autouse=True)
def installed():
    sys.path.append(str(LAB))
    yield
    sys.path.remove(str(LAB))


@pytest.mark.parametrize(
    ("part", "check", "words"),
    [
        ("prior", "integrates", "integrates to 6.0"),
        ("moved", "integrates", "the mean of its samples is"),
        ("masked", "mask", "differs between 2 latents and 3"),
        ("posterior", "draws", "of its draws is 0.8"),
        ("likelihood", "normalised", "of one pixel add up to 0.8"),
        ("biased", "normalised", "and its `mean`"),
        ("encoder", "shapes", "the weights of the encoder have no gradient"),
        ("leaky", "alone", "changes with the order of the batch"),
        ("rough", "bfloat16", "in float32"),
        ("coupled", "devices", "reduces over `axis`"),
        ("coupled", "halves", "state coupled=True"),
        ("stopped", "slope", "by differences and"),
        ("nameless", "shapes", "returns no 'elbo'"),
    ],
)
def test_a_planted_fault_is_found(part, check, words):
    case = contract.case_of(f"lab.faulty:{part}")
    with pytest.raises(contract.Broken) as caught:
        getattr(contract, check)(case)
    assert words in str(caught.value)


@pytest.mark.parametrize("part", GOOD)
def test_what_fits_the_part_passes(part):
    case = contract.case_of(f"lab.parts:{part}")
    assert contract.shapes(case)
    assert all(check(case) for check in contract.checks(case)[len(contract.OF_ALL) :])


@pytest.mark.slow
@pytest.mark.parametrize("part", GOOD)
def test_every_check_passes(part, capsys):
    assert main(["check", f"lab.parts:{part}"]) == 0
    assert "FAIL" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["vae.objectives.elbo:capacity", "vae.objectives.semi_supervised:m2",
     "vae.probability.flow_priors:spline", "vae.probability.flow_posteriors:iaf",
     "vae.probability.discretized:discretized_logistic", "vae.networks.decoders:mlp"],
)  # fmt: skip
def test_parts_of_the_package_pass(name):
    assert all(held is not False for _, held, _ in contract.check(name))


def test_a_fault_is_an_exit_code_and_settings_go_with_the_part(capsys, monkeypatch):
    monkeypatch.setattr(contract, "OF_ALL", (contract.shapes, contract.slope))
    line = ["check", "lab.faulty:stopped", "--set=model.hidden=(3,)", "--set=objective.beta=2.0"]
    assert main(line) == 1
    said = capsys.readouterr()
    assert said.out.startswith("ok   Terms") and "FAIL The gradient" in said.out
    assert "lab.faulty:stopped does not do what its place asks" in said.err
    assert main(["check", "lab.faulty:stopped", "--set=objective.bta=2.0"]) == 2
    assert "did you mean 'objective.beta'?" in capsys.readouterr().err


def test_what_is_no_part_is_refused():
    with pytest.raises(UserError, match="a part is a function"):
        contract.case_of("lab.parts:SPREAD")
