"""Steps one after another: the tensors they make, their operators, and the same in numpy.

A step works on the last tensor that is there; what topK made before it stays beside.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dlagent.api.types import Tensor
from dlagent.build.failure import BuildError
from dlagent.build.steps.base import Array, Choice, GraphWriter, MaskedStep, Step
from dlagent.domain.artifact.summary import FailureReason

Steps = Sequence[Step | MaskedStep]
# An answer, to the scores that it stands for and those that a right one stands for.
Compare = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Answer:
    """What steps made of values; `compare` is for the last of them, where it was chosen."""

    values: list[Array]
    compare: Compare | None


def tensors_through(steps: Steps, given: Tensor, inputs: Mapping[str, Tensor]) -> list[Tensor]:
    """What the steps make of such a tensor.

    Args:
        steps: in order.
        given: without its batch axis, as all tensors here.
        inputs: what the network takes, by the names of the agent's inputs.

    Raises:
        BuildError: ShapeMismatch.
    """
    made = [given]
    for step in steps:
        made[-1:] = _outputs(step, made[-1], inputs)
    return made


def write(
    graph: GraphWriter,
    steps: Steps,
    value: str,
    given: Tensor,
    inputs: Mapping[str, tuple[str, Tensor]],
) -> list[str]:
    """Append the steps' operators; the names of what they make.

    `inputs` are what the network takes, names in the graph and tensors, by the agent's names.
    """
    tensors = {name: tensor for name, (_, tensor) in inputs.items()}
    values = [value]
    for step in steps:
        if isinstance(step, MaskedStep):
            values[-1:] = step.write(graph, values[-1], given, *inputs[step.mask])
        else:
            values[-1:] = step.write(graph, values[-1], given)
        given = _outputs(step, given, tensors)[-1]
    return values


def reference(steps: Steps, value: Array, batched: bool, inputs: Mapping[str, Array]) -> Answer:
    """The same in numpy; `inputs` are what the network gets, by the agent's names."""
    values = [value]
    scores: Array | None = None
    for step in steps:
        if isinstance(step, Choice) and scores is None:
            scores = values[-1]
        if isinstance(step, MaskedStep):
            values[-1:] = step.reference(values[-1], inputs[step.mask], batched)
        else:
            values[-1:] = step.reference(values[-1], batched)
    return Answer(values, _compare(steps, scores))


def _compare(steps: Steps, scores: Array | None) -> Compare | None:
    last = steps[-1] if steps else None
    if scores is None or not isinstance(last, Choice):
        return None
    return lambda answer: last.compared(scores, answer)


def _outputs(step: Step | MaskedStep, given: Tensor, inputs: Mapping[str, Tensor]) -> list[Tensor]:
    if not isinstance(step, MaskedStep):
        return step.outputs(given)
    if step.mask not in inputs:
        raise BuildError(
            FailureReason.SHAPE_MISMATCH,
            f"the step {step.name} has the mask {step.mask}, and the agent's inputs are"
            f" {sorted(inputs)}; write one of them",
        )
    return step.outputs(given, inputs[step.mask])
