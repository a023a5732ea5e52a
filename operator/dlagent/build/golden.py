"""The self-check of an artifact: its golden input and what it answers to it."""

import math

from dlagent.build.network import concrete
from dlagent.build.parity import Tolerance
from dlagent.build.runtime import Answering
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.selfcheck import (
    NUMPY_TYPES,
    ExpectedOutput,
    SelfCheck,
    golden_input,
    head_of,
)
from dlagent.domain.search.candidate import Precision

SEED = "0"
# Wider than parity's: the serving machine has other instructions and another runtime version, and
# in INT8 one step of rounding is a hundredth of a tensor's range, in FP16 a thousandth of a value.
TOLERANCE = {
    Precision.FP32: Tolerance(1e-2, 1e-3),
    Precision.FP16: Tolerance(2e-2, 1e-2),
    Precision.INT8: Tolerance(5e-2, 2e-2),
}


def golden(
    session: Answering, interface: ModelInterface, free_size: int, precision: Precision
) -> SelfCheck:
    """Run the golden input, a batch of one. Raises RunError."""
    batch = 1 if interface.batched else None
    inputs = [concrete(tensor, batch, free_size) for tensor in interface.inputs]
    answers = session.run({tensor.name: golden_input(SEED, tensor) for tensor in inputs})
    outputs = [
        ExpectedOutput(
            name=tensor.name,
            data_type=tensor.data_type,
            shape=list(answers[tensor.name].shape),
            head=_finite(head_of(answers[tensor.name])),
        )
        for tensor in interface.outputs
    ]
    largest = max(
        (abs(float(v)) for o in outputs if NUMPY_TYPES[o.data_type].kind == "f" for v in o.head),
        default=0.0,
    )
    tolerance = TOLERANCE[precision]
    return SelfCheck(
        seed=SEED,
        inputs=inputs,
        outputs=outputs,
        relative_tolerance=tolerance.relative,
        absolute_tolerance=float(f"{tolerance.absolute_share * (largest or 1.0):.3g}"),
    )


def _finite(head: list[float] | list[str]) -> list[float] | list[str]:
    """The values up to the first that JSON has no word for."""
    endless = (at for at, v in enumerate(head) if isinstance(v, float) and not math.isfinite(v))
    return head[: next(endless, len(head))]
