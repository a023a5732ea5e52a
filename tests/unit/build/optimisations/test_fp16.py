"""FP16 is in the report wherever it is not tried."""

import pytest

from dlagent.build.optimisations.fp16 import NAME, Fp16
from tests.unit.build.optimisations.quantise_workshop import planned, products, reasons


@pytest.mark.parametrize(
    ("accelerator", "reason"),
    [
        pytest.param("cpu", "on a CPU, FP16 is converted to FP32 and back", id="a CPU"),
        pytest.param("nvidia.com/gpu", "could not compare it on nvidia.com/gpu", id="a GPU"),
    ],
)
def test_it_is_skipped_with_the_reason(accelerator: str, reason: str) -> None:
    assert [] == planned(Fp16(), products(), accelerator=accelerator)
    assert reason in reasons(Fp16(), products(), accelerator=accelerator)[NAME]
