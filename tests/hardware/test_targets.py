"""Names of targets, and what is said where one cannot be had."""

import importlib.util

import pytest

from vae.errors import UserError
from vae.hardware import targets


@pytest.mark.parametrize(
    "name, platform, count",
    [("v5e:2x2", "tpu", 4), ("v5p:2x2x4", "tpu", 16), ("h100:8", "cuda", 8),
     ("h100:2x8", "cuda", 16), ("a100", "cuda", 1), ("cpu:2", "cpu", 2), ("cpu", "cpu", 1)],
)  # fmt: skip
def test_a_name_says_what_and_how_many(name, platform, count):
    target = targets.parse(name)
    assert (target.platform, target.count) == (platform, count)


@pytest.mark.parametrize("name", ["v9:2x2", "v5e:0x2", "h100:x", "h100:-1", "", "cpu:2x2x2"])
def test_others_are_refused(name):
    with pytest.raises(UserError, match=f"--target={name}"):
        targets.parse(name)


def test_a_tpu_needs_its_grid():
    with pytest.raises(UserError, match="give the chips of a TPU as their grid, v5e:2x2"):
        targets.parse("v5e:4")


@pytest.mark.parametrize("name, extra", [("v5e:2x2", "plan-tpu"), ("h100:2", "plan-cuda")])
def test_a_missing_compiler_is_one_line(monkeypatch, name, extra):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf"pip install 'vae\[{extra}\]'$") as error:
        targets.prepare(targets.parse(name))
    assert "\n" not in str(error.value)


def test_a_faster_device_is_described_as_one():
    """Published figures, by the order in which they came: each generation is faster."""
    kinds = targets.DEVICES
    assert kinds["v5e"].peak < kinds["v5p"].peak < kinds["v6e"].peak
    assert kinds["a100"].half < kinds["h100"].half
    assert all(d.peak <= d.half and d.memory > 2**33 and d.links < d.bandwidth
               for d in kinds.values())  # fmt: skip
