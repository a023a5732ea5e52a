"""Mixed precision: static INT8 with the few layers in FP32 whose quantisation costs accuracy.

Which these are is measured: all is quantised but one group of layers, for each group, and what
the network then loses is compared. Groups follow each other along the graph.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto

from dlagent.build.optimisations.base import Made, OptimisationError, Workshop
from dlagent.build.optimisations.calibration import ranges
from dlagent.build.optimisations.quantise import (
    CALIBRATION_EXAMPLES,
    HEAVY,
    Scheme,
    operators_of,
    prepare,
    quantised,
)
from dlagent.build.optimisations.rules import saturates, share
from dlagent.build.optimisations.static_int8 import reason_against
from dlagent.domain.data.split import Part
from dlagent.domain.search.candidate import Candidate, Facts, Plan, Precision, Skipped

NAME = "int8-mixed"
_MOST_GROUPS = 12  # each costs a quantisation and a run over the examples below
_JUDGED_EXAMPLES = 1000  # a share is then known to a tenth of a percent
_LEFT = 0.25  # of the loss: reaching for less would move layers that cost next to nothing
_MOST_IN_FP32 = 0.5  # of the groups; beyond that too little is left to be fast

Drop = Callable[[Sequence[str]], float]


@dataclass(frozen=True)
class Group:
    """Nodes that follow each other: `layers` have the arithmetic, `nodes` are all of them."""

    layers: tuple[str, ...]
    nodes: tuple[str, ...]


class MixedInt8:
    """Static INT8 (U8S8, MinMax) with the most sensitive groups left in FP32."""

    name = "mixed-int8"

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:  # noqa: ARG002 - the source
        reason = reason_against(facts)
        if reason is None and facts.compared_there:
            reason = "its scheme (U8S8) is for CPUs: TensorRT takes symmetric ones only"
        if reason is None and sum(facts.operators.get(name, 0) for name in HEAVY) == 1:
            reason = "the network has one layer that could be quantised"
        if reason is not None:
            return Plan(skipped=(Skipped(name=NAME, reason=reason),))
        scheme = Scheme("U8", "MinMax", saturates(facts.instruction_set))
        mixed = Candidate(
            name=NAME,
            optimisation=self.name,
            precision=Precision.INT8,
            options=scheme.options(),
        )
        return Plan((mixed,))

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:
        base = workshop.base(candidate, effort)
        scheme = Scheme.of(candidate.options)
        inputs = workshop.inputs(Part.CALIBRATE, share(effort, CALIBRATION_EXAMPLES))
        judged = share(effort, _JUDGED_EXAMPLES)
        with tempfile.TemporaryDirectory() as folder:
            prepared = prepare(base, Path(folder))
            tensors = ranges(prepared, inputs, scheme.calibration, operators_of(prepared))

            def without(excluded: Sequence[str]) -> ModelProto:
                return quantised(prepared, tensors, scheme, base, excluded)

            def drop(excluded: Sequence[str]) -> float:
                return workshop.drop(without(excluded), judged)

            chosen = sensitive(groups(onnx.load(prepared)), drop, 1 / judged)
            model = without([node for group in chosen for node in group.nodes])
        layers = ", ".join(layer for group in chosen for layer in group.layers)
        return Made(model, {"in FP32": layers})


def groups(prepared: ModelProto) -> list[Group]:
    """The graph's nodes in order, cut before layers so that each group has as many of them."""
    nodes = [(node.name, node.op_type in HEAVY) for node in prepared.graph.node]
    count = sum(heavy for _, heavy in nodes)
    wanted = min(count, _MOST_GROUPS)
    filled: list[list[tuple[str, bool]]] = [[] for _ in range(wanted)]
    seen = 0
    for name, heavy in nodes:
        seen += heavy
        filled[max(0, seen - 1) * wanted // count].append((name, heavy))
    return [Group(tuple(n for n, heavy in g if heavy), tuple(n for n, _ in g)) for g in filled]


def sensitive(candidates: Sequence[Group], drop: Drop, noise: float) -> list[Group]:
    """The groups to leave in FP32: as few as bring the loss to a quarter, worst first.

    `drop` is what the network loses with these nodes in FP32 and all others quantised.

    Raises:
        OptimisationError: nothing is lost with all of them quantised, or no group explains it.
    """
    whole = drop(())
    if whole <= noise:
        raise OptimisationError(f"quantising everything costs nothing: {_percent(whole)} lost")
    single = [drop(group.nodes) for group in candidates]
    order = sorted(range(len(candidates)), key=lambda at: (single[at], at))
    most = int(len(candidates) * _MOST_IN_FP32)
    goal = max(noise, whole * _LEFT)
    chosen: list[Group] = []
    for at in order[:most]:
        chosen.append(candidates[at])
        nodes = [node for group in chosen for node in group.nodes]
        if (single[at] if len(chosen) == 1 else drop(nodes)) <= goal:
            return chosen
    raise OptimisationError(
        f"with {most} of {len(candidates)} groups of layers in FP32, more than a quarter of the"
        f" loss of {_percent(whole)} is left"
    )


def _percent(share_lost: float) -> str:
    return f"{share_lost:.4g}"
