"""FP16: faster on accelerators, slower on CPUs. Planned nowhere yet; the report says why.

ONNX Runtime's CPU backend converts each FP16 operator to FP32 and back.
"""

from collections.abc import Sequence

from dlagent.build.optimisations.accelerated import reason_against
from dlagent.build.optimisations.base import Made, OptimisationError, Workshop
from dlagent.domain.search.candidate import Candidate, Facts, Plan, Skipped

NAME = "fp16"
_ON_CPU = "on a CPU, FP16 is converted to FP32 and back, which is slower than FP32"


class Fp16:
    """The place of FP16 in the report."""

    name = NAME

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:  # noqa: ARG002 - the source
        return Plan(skipped=(Skipped(name=NAME, reason=reason_against(facts, _ON_CPU)),))

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:  # noqa: ARG002
        raise OptimisationError(f"{candidate.name} is planned for no target")
