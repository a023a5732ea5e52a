"""The search on small real networks: what was made, given up, chosen, and what is said of it.

Networks differ in their number of products of matrices, so that which one is faster is sure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper

from dlagent.api.types import Metric as MetricKind
from dlagent.build.contest import GateOpinion, Score
from dlagent.build.failure import BuildError, MachineGoneError
from dlagent.build.optimisations.base import Made, OptimisationError
from dlagent.build.runtime import Answering, Session
from dlagent.build.search import Found, Search
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.report import CandidateReport, GateResult, Verdict
from dlagent.domain.artifact.summary import FailureReason
from dlagent.domain.gate.limit import Limit
from dlagent.domain.gate.metrics import Metric
from dlagent.domain.search.candidate import SOURCE, Candidate, Plan, Precision, Skipped
from dlagent.domain.search.timing import Rounds
from tests.unit.build.conftest import make_model

SIZE = 192
LIMIT = Limit(Metric(MetricKind.ACCURACY), 0.01)
FEEDS = [{"x": np.ones((rows, SIZE), np.float32)} for rows in (1, 8)]


def start(model: bytes, engine: Engine) -> Session:
    assert engine is Engine.ONNX_RUNTIME
    return Session(model)


def matmuls(count: int) -> ModelProto:
    nodes = [
        helper.make_node("MatMul", [f"v{at}" if at else "x", "w"], [f"v{at + 1}"])
        for at in range(count)
    ]
    axes: list[Any] = ["batch", SIZE]
    return make_model(
        nodes, {"x": axes}, {f"v{count}": axes}, {"w": np.full((SIZE, SIZE), 1 / SIZE)}
    )


def candidate(name: str, **fields: Any) -> Candidate:
    return Candidate(name=name, optimisation="x", precision=Precision.INT8, **fields)


FP32 = Candidate(name=SOURCE, optimisation="fp32", precision=Precision.FP32)
DEPTHS = {SOURCE: 64, "half": 30, "quarter": 14, "tiny": 3}


class Workbench:
    """Makes networks and judges them: what they lose is told by their name."""

    def __init__(
        self,
        drops: Mapping[str, float] | None = None,
        fails: Mapping[str, Exception] | None = None,
        gate: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self.drops = drops or {}
        self.fails = fails or {}
        self.passes = gate
        self.made: list[tuple[str, float]] = []
        self.gated: list[str] = []
        self.others: list[int] = []
        self._last = SOURCE

    def make(self, candidate: Candidate, effort: float) -> Made:
        self._last = candidate.name
        self.made.append((candidate.name, effort))
        if candidate.name in self.fails:
            raise self.fails[candidate.name]
        return Made(matmuls(DEPTHS[candidate.name]), {"made": f"with {effort:g}"})

    def score(self, session: Answering, share: float) -> Score:
        drop = self.drops.get(self._last, 0.0)
        return Score(0.9 - drop, drop, drop - 0.002, drop + 0.002)

    def metric(self, session: Answering) -> float | None:
        return 0.9

    def gate(self, sessions: Mapping[str, Answering], others: int) -> dict[str, GateOpinion]:
        self.gated += sessions
        self.others.append(others)
        return {
            name: GateOpinion(
                GateResult(before=0.9, after=0.9, drop=0.0, passed=self.passes(name)), "so it is"
            )
            for name in sessions
        }


def search(
    bench: Workbench,
    *names: str,
    seconds: float = 600,
    allowed: Callable[[Candidate], bool] = lambda c: True,
    **fields: Any,
) -> Found:
    said: list[str] = []
    plan = Plan(
        (FP32, *(candidate(name, **fields) for name in names)), (Skipped(name="no", reason="why"),)
    )
    work = Search(bench, bench, start, matmuls(DEPTHS[SOURCE]), FEEDS, (1, 8), LIMIT, said.append)
    found = work.run(plan, allowed, seconds)
    assert said[-1].startswith("comparing")
    return found


def told(found: Found) -> dict[str, Verdict]:
    return {report.name: report.verdict for report in found.reports}


def of(found: Found, name: str) -> CandidateReport:
    return next(report for report in found.reports if report.name == name)


def test_the_fastest_that_keeps_the_accuracy_is_chosen_and_all_are_told_of() -> None:
    bench = Workbench(drops={"tiny": 0.05})

    found = search(bench, "half", "quarter", "tiny")

    assert found.chosen is not None
    assert "quarter" == found.chosen.name
    assert matmuls(DEPTHS["quarter"]) == found.model
    expected = {
        SOURCE: Verdict.SLOWER,
        "half": Verdict.SLOWER,
        "quarter": Verdict.CHOSEN,
        "tiny": Verdict.DROPPED,
        "no": Verdict.NOT_APPLICABLE,
    }
    assert expected == told(found)
    assert "loses 5.00 points of Accuracy after 10% of the work" == of(found, "tiny").reason
    chosen = of(found, "quarter")
    assert (1.0, {"made": "with 1"}) == (chosen.effort, chosen.notes)
    assert [1, 8] == [timing.batch for timing in chosen.timings]
    assert 0.9 == chosen.select_metric


def test_more_effort_goes_only_to_who_is_promising() -> None:
    bench = Workbench()

    search(bench, "half", "quarter", "tiny")

    efforts = {
        name: [e for n, e in bench.made if n == name] for name in ("half", "quarter", "tiny")
    }
    assert {0.1} == set(efforts["half"])
    assert {0.1, 0.3, 1.0} == set(efforts["tiny"])


def test_where_the_gate_refuses_the_best_the_next_one_serves() -> None:
    bench = Workbench(drops={"tiny": 0.009, "quarter": 0.0}, gate=lambda name: name != "tiny")

    found = search(bench, "quarter", "tiny")

    assert ["tiny", "quarter"] == bench.gated
    assert {
        SOURCE: Verdict.SLOWER,
        "quarter": Verdict.CHOSEN,
        "tiny": Verdict.GATE_FAILED,
        "no": Verdict.NOT_APPLICABLE,
    } == told(found)


def test_where_the_gate_refuses_all_the_source_serves() -> None:
    found = search(Workbench(gate=lambda name: False), "quarter")

    assert found.chosen == FP32
    assert matmuls(DEPTHS[SOURCE]) == found.model


def test_where_the_source_may_not_serve_either_nothing_is_chosen() -> None:
    found = search(
        Workbench(gate=lambda name: False), "quarter", allowed=lambda c: c.name != SOURCE
    )

    assert (None, None) == (found.chosen, found.model)
    assert {
        SOURCE: Verdict.NOT_APPLICABLE,
        "quarter": Verdict.GATE_FAILED,
        "no": Verdict.NOT_APPLICABLE,
    } == told(found)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(OptimisationError("not like this"), "not like this", id="it cannot be made"),
        pytest.param(
            BuildError(FailureReason.INVALID_MODEL, "the runtime refuses it"),
            "the runtime refuses it",
            id="it does not load",
        ),
        pytest.param(
            MemoryError(),
            "out of memory; raise spec.build.resources.limits.memory",
            id="it does not fit",
        ),
    ],
)
def test_a_candidate_that_fails_is_told_of_and_holds_nobody_back(
    error: Exception, reason: str
) -> None:
    found = search(Workbench(fails={"tiny": error}), "quarter", "tiny")

    assert (Verdict.FAILED, reason) == (of(found, "tiny").verdict, of(found, "tiny").reason)
    assert Verdict.CHOSEN == told(found)["quarter"]


def test_without_time_nothing_is_tried_and_the_source_serves() -> None:
    found = search(Workbench(), "quarter", seconds=0)

    assert found.chosen == FP32
    assert Verdict.NOT_TRIED == told(found)["quarter"]
    assert "no time was left for 10% of the work" == of(found, "quarter").reason


class Clock:
    """What stands for the module `time`."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class SlowWorkbench(Workbench):
    """Trains a whole epoch, of one, whatever is asked for; it takes half a minute, by default."""

    def __init__(self, clock: Clock, seconds: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = seconds or {}

    def make(self, candidate: Candidate, effort: float) -> Made:
        self.clock.seconds += self.seconds.get(candidate.name, 30)
        made = super().make(candidate, effort)
        return Made(made.model, made.notes, effort=1.0)


def test_what_was_estimated_goes_on_where_the_time_for_estimates_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("dlagent.build.search.time", clock)
    bench = SlowWorkbench(clock)

    found = search(bench, "half", "quarter", "tiny", seconds=180)

    assert [0.1, 0.1, 0.1, 1.0, 1.0] == [effort for _, effort in bench.made][:5]
    assert found.chosen is not None
    assert "tiny" == found.chosen.name


def test_an_epoch_that_takes_all_the_time_does_not_cost_what_needs_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("dlagent.build.search.time", clock)
    bench = SlowWorkbench(clock, {"quarter": 10, "tiny": 1000})
    plan = Plan((FP32, candidate("quarter"), candidate("tiny", trained=True)))
    work = Search(
        bench, bench, start, matmuls(DEPTHS[SOURCE]), FEEDS, (1, 8), LIMIT, lambda _: None
    )

    found = work.run(plan, lambda _: True, 180)

    assert found.chosen is not None
    assert "quarter" == found.chosen.name
    assert Verdict.NOT_TRIED == told(found)["tiny"]


def test_a_machine_that_goes_is_no_candidates_fault() -> None:
    with pytest.raises(MachineGoneError):
        search(Workbench(fails={"tiny": MachineGoneError("it has gone")}), "quarter", "tiny")


def test_what_need_not_be_trained_is_made_first() -> None:
    bench = Workbench()
    plan = Plan((FP32, candidate("half", trained=True), candidate("quarter")))
    work = Search(
        bench, bench, start, matmuls(DEPTHS[SOURCE]), FEEDS, (1, 8), LIMIT, lambda _: None
    )

    work.run(plan, lambda _: True, 600)

    assert ["quarter", "half"] == [name for name, _ in bench.made][:2]


@pytest.fixture
def exact_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has nothing else to do: on a busy one two may look as fast."""

    def race(
        sessions: Mapping[str, Session], feeds: Sequence[object], rounds: int, seconds: float
    ) -> dict[str, Rounds]:
        del seconds
        return {name: np.full((rounds, len(feeds)), float(DEPTHS[name])) for name in sessions}

    for module in ("search", "finals"):
        monkeypatch.setattr(f"dlagent.build.{module}.race", race)


def in_full(bench: Workbench) -> list[str]:
    """What was made with all effort, each once: the search asks again for what it made."""
    return list(dict.fromkeys(name for name, effort in bench.made if effort == 1))


@pytest.mark.usefixtures("exact_times")
def test_what_is_slower_than_one_that_fits_is_not_trained_to_the_end() -> None:
    bench = Workbench()

    found = search(bench, "half", "quarter", "tiny", trained=True)

    assert ["tiny"] == in_full(bench)
    assert [2] == bench.others, "who may come later counts before the gate"
    assert Verdict.CHOSEN == told(found)["tiny"]
    assert Verdict.DROPPED == told(found)["quarter"]
    assert of(found, "quarter").reason.endswith("; faster, and keeps the accuracy: tiny")


@pytest.mark.usefixtures("exact_times")
def test_where_the_fastest_loses_too_much_in_the_end_the_next_is_trained_too() -> None:
    bench = Workbench(drops={"tiny": 0.011})

    search(bench, "half", "quarter", "tiny", trained=True)

    assert ["tiny", "quarter"] == in_full(bench)
    assert [0] == bench.others


@pytest.mark.usefixtures("exact_times")
def test_what_was_spared_is_made_where_the_gate_refuses_who_spared_it() -> None:
    bench = Workbench(gate=lambda name: name != "tiny")

    found = search(bench, "half", "quarter", "tiny", trained=True)

    assert ["tiny", "quarter"] == in_full(bench)
    assert (["tiny", "quarter"], [2, 1]) == (bench.gated, bench.others)
    assert Verdict.GATE_FAILED == told(found)["tiny"]
    assert Verdict.CHOSEN == told(found)["quarter"]


def test_what_the_spec_rules_out_is_not_made() -> None:
    bench = Workbench()

    found = search(bench, "quarter", "tiny", allowed=lambda c: c.name != "tiny")

    assert "tiny" not in {name for name, _ in bench.made}
    assert "spec.build.precision does not allow it" == of(found, "tiny").reason
