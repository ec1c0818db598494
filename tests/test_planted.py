"""The faults that `tests/planted.py` plants are of the code as it is."""

import pytest

from tests import planted


@pytest.mark.parametrize("fault", planted.FAULTS, ids=lambda fault: fault.name)
def test_every_fault_can_be_planted(fault):
    text = (planted.ROOT / fault.path).read_text()
    spoiled = fault.planted(text)
    assert spoiled != text
    compile(spoiled, fault.path, "exec")
    assert all((planted.ROOT / test).exists() for test in fault.tests)
