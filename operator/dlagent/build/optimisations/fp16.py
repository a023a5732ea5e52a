"""FP16: half the bytes, and on accelerators more than twice the products a second.

Inputs and outputs stay as they are: the graph casts them. Tried where versions are compared on an
accelerator; ONNX Runtime's CPU backend converts each FP16 operator to FP32 and back.
"""

from collections.abc import Sequence

from onnx import ModelProto
from onnxruntime.transformers.float16 import (  # type: ignore[import-untyped]  # ships no types
    convert_float_to_float16,
)

from dlagent.build.onnx_graph import finished
from dlagent.build.optimisations.base import Made, Workshop
from dlagent.build.optimisations.library import library
from dlagent.build.optimisations.rules import (
    SERVED_ON_CPU,
    forbids,
    other_weights,
    version_of,
)
from dlagent.domain.search.candidate import Candidate, Facts, Plan, Precision, Skipped

NAME = "fp16"
_ON_CPU = f"{SERVED_ON_CPU}: there FP16 is converted to FP32 and back, which is slower than FP32"


class Fp16:
    """Of the source, and of each network of its own weights."""

    name = NAME

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:
        reason = _reason_against(facts)
        if reason is not None:
            return Plan(skipped=(Skipped(name=NAME, reason=reason),))
        bases = (None, *other_weights(planned))
        return Plan(tuple(version_of(base, NAME, self.name, Precision.FP16) for base in bases))

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:
        base = workshop.base(candidate, effort)
        return Made(finished(_converted(base), base))


def _reason_against(facts: Facts) -> str | None:
    if not facts.accelerated:
        return _ON_CPU
    if facts.accelerator_lacks is not None:
        return f"it could not be compared on {facts.accelerator}: {facts.accelerator_lacks}"
    return forbids(facts, Precision.FP16)


def _converted(base: ModelProto) -> ModelProto:
    with library("onnxruntime.transformers"):
        model: ModelProto = convert_float_to_float16(base, keep_io_types=True)
    return model
