"""pruned-25, pruned-50, pruned-75: fewer channels, then distillation from the source."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlagent.build.optimisations.base import Made, Workshop
from dlagent.build.optimisations.trained import Trainings, distil, reason_not_to_train
from dlagent.domain.search.candidate import Candidate, Facts, Plan, Precision, Skipped

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import GraphModule

STRENGTHS_PERCENT = (25, 50, 75)
_LAYERS = ("Conv", "Gemm", "MatMul")  # as ONNX names what has channels


class Pruned:
    """Channel pruning in the given strength, or in several."""

    name = "pruned"

    def __init__(self) -> None:
        self._trainings = Trainings()

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:
        """All strengths: which one pays is found by measuring. FP32, as a base for INT8 as well."""
        del planned
        reason = _reason_against(facts)
        if reason is not None:
            return Plan(skipped=(Skipped(name=self.name, reason=reason),))
        given = facts.channels_percent
        strengths = STRENGTHS_PERCENT if given is None else (given,)
        pairs = zip(strengths, (*strengths[1:], None), strict=True)
        return Plan(tuple(self._candidate(percent, smaller, facts) for percent, smaller in pairs))

    def _candidate(self, percent: int, smaller_percent: int | None, facts: Facts) -> Candidate:
        return Candidate(
            name=_name(percent),
            optimisation=self.name,
            precision=Precision.FP32,
            options={"channelsPercent": percent, "epochs": facts.epochs},
            trained=True,
            smaller=None if smaller_percent is None else _name(smaller_percent),
        )

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:
        """See Optimisation.make."""
        percent = int(candidate.options["channelsPercent"])

        def shrink(network: "GraphModule", examples: "Sequence[Tensor]") -> None:
            from dlagent.build.optimisations import channels  # torch: seconds

            channels.prune(network, examples, percent)

        return distil(self._trainings, candidate, workshop, effort, workshop.program(), shrink)


def _name(percent: int) -> str:
    return f"pruned-{percent}"


def _reason_against(facts: Facts) -> str | None:
    if facts.channels_percent == 0:
        return "spec.build.prune.channelsPercent is 0"
    if not facts.trainable:
        return "the source is ONNX, and only an ExportedProgram (.pt2) can be pruned and trained"
    if sum(facts.operators.get(layer, 0) for layer in _LAYERS) < 2:
        return "the network has no hidden layer whose channels could be removed"
    return reason_not_to_train(facts)
