"""Who judges networks: on the data set, or, without one, by whether they answer as the source does.

Used by dlagent.build.search and dlagent.build.finals; what counts as a loss, and how surely it is
known, is decided in dlagent.domain.gate.
"""

import math
from collections.abc import Mapping

from onnx import ModelProto

from dlagent.build.contest import GateOpinion, Score
from dlagent.build.failure import BuildError
from dlagent.build.network import Network
from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.parity import SINGLE, Run, Tolerance, check_same
from dlagent.build.runtime import Answering, Array, Session
from dlagent.build.workshop import Examples, answers
from dlagent.domain.artifact.report import ClassReport, GateReport, GateResult
from dlagent.domain.data.split import Part
from dlagent.domain.gate.decision import LEVEL, Finalist, decide_gate
from dlagent.domain.gate.evidence import Evidence, LargestError, NotFinite, compare
from dlagent.domain.gate.limit import Limit
from dlagent.domain.gate.metrics import answers as classes_of
from dlagent.domain.gate.metrics import class_changes

# Fewer selection examples than these tell nothing about a loss of a point.
_FEWEST_EXAMPLES = 500
_SURE = 0.05


class DataJury:
    """Judges by the network's first output on the data set's examples."""

    def __init__(self, network: Network, examples: Examples, limit: Limit) -> None:
        self._network = network
        self._examples = examples
        self._limit = limit
        self._output = network.outputs[0].name
        self._source = Session(network.model.SerializeToString())
        self._before: dict[Part, Array] = {}

    def score(self, session: Answering, share: float) -> Score:
        whole = self._examples.count(Part.SELECT)
        count = min(max(math.ceil(share * whole), _FEWEST_EXAMPLES), whole)
        after = self._answers(session, Part.SELECT, count)
        evidence = self._evidence(Part.SELECT, after)
        if isinstance(evidence, NotFinite):
            raise OptimisationError(
                f"it gives NaN or infinity for {evidence.affected} of {evidence.examples} examples"
            )
        if isinstance(evidence, LargestError):
            return Score(evidence.after, evidence.drop, evidence.drop, evidence.drop)
        gain = self._evidence(Part.SELECT, after, reverse=True)
        at_least = evidence.drop if isinstance(gain, NotFinite) else -gain.upper_bound(_SURE)
        return Score(evidence.after, evidence.drop, at_least, evidence.upper_bound(_SURE))

    def metric(self, session: Answering) -> float | None:
        return self.score(session, 1.0).metric

    def drop(self, model: ModelProto, limit: int | None) -> float:
        """What a network loses on the first `limit` selection examples. See Workshop.drop."""
        count = self._examples.count(Part.SELECT)
        after = self._answers(
            Session(model.SerializeToString()), Part.SELECT, min(limit or count, count)
        )
        evidence = self._evidence(Part.SELECT, after)
        return math.inf if isinstance(evidence, NotFinite) else evidence.drop

    def gate(self, sessions: Mapping[str, Answering], others: int) -> dict[str, GateOpinion]:
        count = self._examples.count(Part.GATE)
        finalists = [
            Finalist(name, (self._evidence(Part.GATE, self._answers(session, Part.GATE, count)),))
            for name, session in sessions.items()
        ]
        decision = decide_gate([self._limit], finalists, others)
        opinions = {}
        for finalist in decision.finalists:
            (held,) = finalist.limits
            figures = held.figures
            result = GateResult(
                before=figures.before if figures else math.nan,
                after=figures.after if figures else math.nan,
                drop=figures.drop if figures else math.nan,
                upper_bound=figures.upper_bound if figures else None,
                level=1 - held.level,
                passed=finalist.passed,
            )
            opinions[finalist.name] = GateOpinion(result, finalist.reason)
        return opinions

    def too_few(self) -> int | None:
        """How many gate examples it takes that any candidate can pass; None where there are."""
        before = self.source_scores(Part.GATE)
        evidence = self._evidence(Part.GATE, before)
        if isinstance(evidence, LargestError | NotFinite):
            return None
        needed = evidence.apriori_needed(self._limit.at_most, LEVEL)
        return needed if needed is not None and needed > len(before) else None

    def source_scores(self, part: Part) -> Array:
        """The source's own output for a part."""
        return self._source_answers(part, self._examples.count(part))

    def report(self, session: Answering) -> GateReport:
        """A network on the gate's examples beside the source, as a whole and by class."""
        after = self._answers(session, Part.GATE, self._examples.count(Part.GATE))
        evidence = self._evidence(Part.GATE, after)
        finite = None if isinstance(evidence, NotFinite) else evidence
        return GateReport(
            metric=str(self._limit.metric),
            limit=self._limit.at_most,
            before=finite.before if finite else math.nan,
            after=finite.after if finite else math.nan,
            per_class=self._per_class(after),
        )

    def _per_class(self, after: Array) -> list[ClassReport]:
        labels = self._examples.labels(Part.GATE)
        if labels is None or not self._limit.metric.needs_labels:
            return []
        changes = class_changes(
            labels, classes_of(self.source_scores(Part.GATE)), classes_of(after)
        )
        return [
            ClassReport(
                label=change.before.label,
                examples=change.before.support,
                recall_before=change.before.recall,
                recall_after=change.after.recall,
                precision_before=change.before.precision,
                precision_after=change.after.precision,
            )
            for change in changes
        ]

    def _answers(self, session: Answering, part: Part, count: int) -> Array:
        return answers(session, self._examples.inputs(part, count))[self._output]

    def _source_answers(self, part: Part, count: int) -> Array:
        if part not in self._before:
            self._before[part] = self._answers(self._source, part, self._examples.count(part))
        return self._before[part][:count]

    def _evidence(self, part: Part, after: Array, reverse: bool = False) -> Evidence:
        before = self._source_answers(part, len(after))
        labels = self._examples.labels(part, len(after))
        pair = (after, before) if reverse else (before, after)
        return compare(self._limit.metric, labels, *pair)


class ParityJury:
    """Without a data set: a network serves only where it answers random inputs as the source.

    `tolerance` is more than SINGLE where networks are run on another device than the source.
    """

    def __init__(self, source: Run, network: Network, tolerance: Tolerance = SINGLE) -> None:
        self._run = source
        self._network = network
        self._tolerance = tolerance

    def score(self, session: Answering, share: float) -> Score:
        del share
        try:
            check_same(self._run, self._network, session, self._tolerance)
        except BuildError as error:
            raise OptimisationError(error.message) from error
        return Score(None, 0.0, 0.0, 0.0)

    def metric(self, session: Answering) -> float | None:
        del session
        return None

    def drop(self, model: ModelProto, limit: int | None) -> float:
        del model, limit
        raise OptimisationError("it needs a data set: set spec.build.dataset")

    def gate(self, sessions: Mapping[str, Answering], others: int) -> dict[str, GateOpinion]:
        del others
        result = GateResult(before=0.0, after=0.0, drop=0.0, passed=True)
        return {name: GateOpinion(result, "answers as the source does") for name in sessions}
