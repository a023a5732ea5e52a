"""What goes around the network: which steps are for which input, and for which output.

Served inputs are what a client sends: what spec.model.inputs declares where there are perceive
steps, else what the network takes. Of several inputs each has the network's name for it; a single
one may have its own. spec.model.outputs are the network's, before act; act names what it makes, and
outputs that it does not work on are answered as they are, in their places.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from dlagent.api.types import ActStep, PerceiveStep, Tensor
from dlagent.build.chain import Steps, tensors_through
from dlagent.build.failure import BuildError
from dlagent.build.network import (
    FREE,
    Network,
    check_declared,
    check_fits,
    declared_in_order,
    describe,
    fits,
)
from dlagent.build.steps import step_of
from dlagent.build.steps.base import MaskedStep, Step
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import FailureReason

_INPUTS_REMEDY = "correct spec.model.inputs"


@dataclass(frozen=True)
class Perceived:
    """One input: what clients send, the steps, and what the network takes."""

    raw: Tensor
    steps: Steps
    wanted: Tensor


@dataclass(frozen=True)
class Acted:
    """One output: what the network gives, the steps, and what clients get."""

    given: Tensor
    steps: Steps
    made: list[Tensor]


@dataclass(frozen=True)
class Plan:
    """All inputs and all outputs, in the network's order."""

    perceive: list[Perceived]
    act: list[Acted]

    def raw(self) -> list[Tensor]:
        """What clients send."""
        return [input_.raw for input_ in self.perceive]

    def answer(self) -> list[Tensor]:
        """What clients get."""
        return [tensor for output in self.act for tensor in output.made]


def plan(network: Network, request: BuildRequest) -> Plan:
    """The steps of a request, given out to the network's inputs and outputs.

    Raises:
        BuildError: ShapeMismatch.
    """
    perceive = _perceive(network, request)
    taken = {input_.raw.name: input_.wanted for input_ in perceive}
    act = [
        Acted(given, steps, tensors_through(steps, given, taken))
        for given, steps in _act(network, request)
    ]
    planned = Plan(perceive, act)
    if request.perceive or request.act:
        _check_names(planned)
    return planned


def perceived(request: BuildRequest) -> list[Tensor]:
    """What perceive makes of spec.model.inputs: the inputs of a network that is yet to be traced.

    Raises:
        BuildError: ShapeMismatch.
    """
    raws = request.inputs or []
    steps_of = _steps_by_input(request.perceive, [raw.name for raw in raws])
    return [tensors_through(steps_of[raw.name], raw, {})[-1] for raw in raws]


def _perceive(network: Network, request: BuildRequest) -> list[Perceived]:
    raws = _raw_inputs(network, request)
    steps_of = _steps_by_input(request.perceive, [raw.name for raw in raws])
    perceive = []
    for raw, wanted in zip(raws, network.inputs, strict=True):
        steps = steps_of[raw.name]
        if steps:
            _check_perceived(tensors_through(steps, raw, {})[-1], wanted, request)
        else:
            check_fits("input", raw, wanted, _INPUTS_REMEDY)
        perceive.append(Perceived(raw, steps, wanted))
    return perceive


def _raw_inputs(network: Network, request: BuildRequest) -> list[Tensor]:
    declared = request.inputs
    if request.perceive and declared and len(declared) == len(network.inputs) == 1:
        return declared  # under a name of its own
    return declared_in_order("input", declared, network.inputs, _INPUTS_REMEDY)


def _steps_by_input(
    specs: Sequence[PerceiveStep], names: list[str]
) -> dict[str, list[Step | MaskedStep]]:
    steps_of: dict[str, list[Step | MaskedStep]] = {name: [] for name in names}
    for spec in specs:
        step = step_of(spec)
        if spec.input is None and len(names) > 1:
            raise _mismatch(
                f"the step {step.name} says not which of the inputs {names} it is for; add"
                " input: NAME beside it"
            )
        name = spec.input if spec.input is not None else names[0]
        if name not in steps_of:
            raise _mismatch(
                f"the step {step.name} is for the input {name}, the agent has {names}; correct"
                " input"
            )
        steps_of[name].append(step)
    return steps_of


def _check_perceived(made: Tensor, wanted: Tensor, request: BuildRequest) -> None:
    says = (
        f"perceive makes {describe(made)}, the network's input {wanted.name} takes"
        f" {describe(wanted)}"
    )
    if not fits(made, wanted):
        declare = "" if request.inputs else "; declare in spec.model.inputs what clients send"
        raise _mismatch(
            f"{says}: add a reshape or cast step, or correct spec.model.inputs{declare}"
        )
    if any(FREE == size != other for size, other in zip(made.shape, wanted.shape, strict=True)):
        raise _mismatch(
            f"{says}: add a resize or reshape step, or declare in spec.model.inputs the size that"
            " clients send"
        )


def _act(network: Network, request: BuildRequest) -> list[tuple[Tensor, Steps]]:
    decided = check_declared(
        "output", request.outputs, network.outputs, "correct spec.model.outputs"
    )
    steps = [step_of(spec) for spec in request.act]
    name = _acted_output(request.act, [tensor.name for tensor in decided])
    return [(tensor, steps if tensor.name == name else []) for tensor in decided]


def _acted_output(specs: Sequence[ActStep], names: list[str]) -> str | None:
    if not specs:
        return None
    if any(spec.output is not None for spec in specs[1:]):
        raise _mismatch("only the first act step may have output; remove it from the others")
    name = specs[0].output
    if name is None:
        if len(names) > 1:
            raise _mismatch(
                f"act works on one output, the network has {names}; add output: NAME to the first"
                " step"
            )
        return names[0]
    if name not in names:
        raise _mismatch(f"act is for the output {name}, the network has {names}; correct output")
    return name


def _check_names(planned: Plan) -> None:
    names = Counter(tensor.name for tensor in (*planned.raw(), *planned.answer()))
    twice = [name for name, times in names.items() if times > 1]
    if twice:
        raise _mismatch(
            f"two of the agent's inputs and outputs would be called {twice[0]}, since act names"
            " what it makes; give the network's own another name"
        )


def _mismatch(message: str) -> BuildError:
    return BuildError(FailureReason.SHAPE_MISMATCH, message)
