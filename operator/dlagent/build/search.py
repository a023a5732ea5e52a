"""The search: makes and measures candidates with ever more effort, and judges the best of them.

What goes on, and who wins, is decided in dlagent.domain.search; here it is done. Called by
dlagent.build.pipeline.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from onnx import ModelProto

from dlagent.api.types import Metric as MetricKind
from dlagent.build.failure import BuildError
from dlagent.build.optimisations.base import Made, OptimisationError
from dlagent.build.race import Feed, affordable_feeds, race
from dlagent.build.runtime import RunError, Session
from dlagent.build.tried import Tried
from dlagent.domain.artifact.report import CandidateReport, GateResult, Verdict
from dlagent.domain.gate.limit import Limit
from dlagent.domain.search.candidate import SOURCE, Candidate, Plan
from dlagent.domain.search.choice import MOST_FINALISTS, finalists, spared_by, winner
from dlagent.domain.search.halving import (
    EFFORTS,
    Estimate,
    affordable,
    promote,
    too_slow,
    worthwhile,
)
from dlagent.domain.search.timing import Interval, Rounds, relative_time
from dlagent.domain.search.verdict import verdict_of

_ROUNDS = 9  # for an estimate; an interval of 95 % for a median needs six
_SECONDS = 4.0
_FINAL_ROUNDS = 25
_FINAL_SECONDS = 30.0
# One epoch of training may take all the time that there is. What was estimated before and needs no
# training is then still judged in full, for this share of the time.
_GRACE = 0.25


@dataclass(frozen=True)
class Score:
    """What a network keeps on the selection examples.

    `metric` is None without a data set; `at_least` and `at_most` are limits of the drop on all such
    examples, each 95 % sure.
    """

    metric: float | None
    drop: float
    at_least: float
    at_most: float


@dataclass(frozen=True)
class GateOpinion:
    """How a finalist stands before the gate, and a sentence about it."""

    result: GateResult
    sentence: str


class Maker(Protocol):
    def make(self, candidate: Candidate, effort: float) -> Made: ...


class Jury(Protocol):
    """Judges networks by their answers."""

    def score(self, session: Session, share: float) -> Score:
        """On the first `share` of the selection examples.

        Raises:
            OptimisationError: the answers cannot be used, such as those that are not numbers.
        """
        ...

    def gate(self, sessions: Mapping[str, Session], others: int) -> dict[str, GateOpinion]:
        """Finalists, all at once; so many others failed before, or may be judged later."""
        ...


@dataclass(frozen=True)
class _Judged:
    """Those that were made in full beside each other, and who serves."""

    complete: list[Estimate]
    source_rounds: Rounds
    opinions: dict[str, GateOpinion]
    chosen: str | None

    @property
    def may_gate_more(self) -> bool:
        return len(self.opinions) < MOST_FINALISTS


@dataclass(frozen=True)
class Found:
    """How the search ended. `chosen` and `model` None: nothing that may serve passed the gate."""

    chosen: Candidate | None
    model: ModelProto | None
    reports: list[CandidateReport]


class Search:
    """One search. `feeds` are batches of the sizes `batches`, smallest first."""

    def __init__(
        self,
        maker: Maker,
        jury: Jury,
        source: ModelProto,
        feeds: Sequence[Feed],
        batches: Sequence[int],
        limit: Limit,
        say: Callable[[str], None],
        efforts: Sequence[float] = EFFORTS,
    ) -> None:
        self._maker = maker
        self._jury = jury
        self._source = Session(source.SerializeToString())
        self._source_model = source
        self._feeds = affordable_feeds(self._source, feeds, _SECONDS)
        self._batches = batches[: len(self._feeds)]
        self._limit = limit
        self._say = say
        self._efforts = efforts
        self._tried: dict[str, Tried] = {}
        self._spared: list[Candidate] = []

    def run(self, plan: Plan, may_serve: Callable[[Candidate], bool], seconds: float) -> Found:
        """Find the candidate that serves, of those that may. The source must be planned."""
        began = time.monotonic()
        self._tried = {c.name: Tried(c) for c in plan.candidates}
        self._spared = []
        alive = [c for c in plan.candidates if c.name != SOURCE and may_serve(c)]
        for effort in self._efforts:
            last = effort == self._efforts[-1]
            # First estimates are worth nothing unless something is made in full afterwards.
            end = began + (seconds if last else seconds / 2)
            untrained_end = max(end, time.monotonic() + _GRACE * seconds) if last else end
            made = self._make_all(alive, effort, end, untrained_end)
            alive = made if last else self._promoted(made)
        return self._conclude(plan, alive, may_serve, end)

    def _make_all(
        self, candidates: Sequence[Candidate], effort: float, end: float, untrained_end: float
    ) -> list[Candidate]:
        """Those that could be made and judged, in the order given.

        And those of which an estimate is known, where the time for estimates is over. `end` is that
        of what is trained.
        """
        last = effort == self._efforts[-1]
        order = sorted(candidates, key=self._by_promise if last else self._by_cost)
        share = f", {effort:.0%} of the work" if effort < 1 else ""
        made: set[str] = set()
        for number, candidate in enumerate(order, 1):
            if last and (why := self._why_spared(candidate, made)) is not None:
                self._tried[candidate.name].conclude(Verdict.DROPPED, why)
                self._spared.append(candidate)
                continue
            self._say(f"{candidate.name}, {number} of {len(order)}{share}")
            until = end if candidate.trained else untrained_end
            if self._try(self._tried[candidate.name], effort, until):
                made.add(candidate.name)
        return [candidate for candidate in candidates if candidate.name in made]

    def _by_cost(self, candidate: Candidate) -> tuple[float, bool]:
        """What has not been made yet is the dearer if it is trained."""
        return self._tried[candidate.name].seconds, candidate.trained

    def _by_promise(self, candidate: Candidate) -> tuple[bool, float]:
        """What needs no training first, so that when the time is over something has been made in
        full; then the fastest, which spares the others.
        """
        tried = self._tried[candidate.name]
        if not candidate.trained:
            return False, tried.seconds
        return True, tried.estimate.time.median if tried.estimate is not None else 0.0

    def _why_spared(self, candidate: Candidate, made: Collection[str]) -> str | None:
        """Where one that was made in full leaves it no way to win, unless the gate refuses that."""
        estimate = self._tried[candidate.name].estimate
        if not candidate.trained or estimate is None:
            return None
        complete = [e for name in made if (e := self._tried[name].estimate) is not None]
        by = spared_by(estimate, complete, self._limit.at_most)
        if by is None:
            return None
        share = f"takes {estimate.time.median:.0%} of the source's time"
        return f"{share}; faster, and keeps the accuracy: {by.candidate.name}"

    def _try(self, tried: Tried, effort: float, end: float) -> bool:
        began = time.monotonic()
        known = tried.estimate
        if began >= end or (known is not None and not affordable(known, effort, end - began)):
            if known is not None and effort < self._efforts[-1]:
                return True
            tried.conclude(Verdict.NOT_TRIED, f"no time was left for {effort:.0%} of the work")
            return False
        try:
            self._estimate(tried, effort, began)
        except (OptimisationError, RunError) as error:
            tried.conclude(Verdict.FAILED, str(error))
        except BuildError as error:
            tried.conclude(Verdict.FAILED, error.message)
        except MemoryError:
            remedy = "raise spec.build.resources.limits.memory"
            tried.conclude(Verdict.FAILED, f"out of memory; {remedy}")
        else:
            return True
        finally:
            tried.seconds += time.monotonic() - began
        return False

    def _estimate(self, tried: Tried, effort: float, began: float) -> None:
        name = tried.candidate.name
        made = self._maker.make(tried.candidate, effort)
        data = made.model.SerializeToString()
        session = Session(data)
        score = self._jury.score(session, effort)
        if tried.estimate is None:
            raced = race({SOURCE: self._source, name: session}, self._feeds, _ROUNDS, _SECONDS)
            tried.rounds, tried.beside = raced[name], raced[SOURCE]
            relative = relative_time(raced[name], raced[SOURCE])
        else:  # more effort changes weights, not how long they take
            relative = tried.estimate.time
        taken = time.monotonic() - began
        tried.estimate = Estimate(
            tried.candidate,
            made.effort or effort,
            relative,
            score.drop,
            score.at_least,
            score.at_most,
            taken,
        )
        tried.metric, tried.notes, tried.size_bytes = score.metric, made.notes, len(data)

    def _promoted(self, made: Sequence[Candidate]) -> list[Candidate]:
        estimates = [e for c in made if (e := self._tried[c.name].estimate) is not None]
        promotion = promote(estimates, self._limit)
        for name, reason in promotion.dropped:
            self._tried[name].conclude(Verdict.DROPPED, reason)
        return [candidate for candidate in made if candidate.name in promotion.kept]

    def _conclude(
        self,
        plan: Plan,
        made: Sequence[Candidate],
        may_serve: Callable[[Candidate], bool],
        end: float,
    ) -> Found:
        judged = self._judge(made, may_serve, {})
        while self._spared and judged.chosen in (None, SOURCE) and judged.may_gate_more:
            # The gate refused who was to spare them.
            spared, self._spared = self._spared, []
            made = [*made, *self._make_all(spared, self._efforts[-1], end, end)]
            judged = self._judge(made, may_serve, judged.opinions)
        self._tell(judged, may_serve)
        reports = [t.report(self._batches, judged.source_rounds) for t in self._tried.values()]
        reports += [
            CandidateReport(name=s.name, verdict=Verdict.NOT_APPLICABLE, reason=s.reason)
            for s in plan.skipped
        ]
        chosen = judged.chosen
        if chosen is None:
            return Found(None, None, reports)
        return Found(self._tried[chosen].candidate, self._model(chosen), reports)

    def _judge(
        self,
        made: Sequence[Candidate],
        may_serve: Callable[[Candidate], bool],
        known: Mapping[str, GateOpinion],
    ) -> _Judged:
        """By the gate, which has an opinion of those that are known."""
        self._say(f"comparing {len(made) + 1} versions")
        sessions = {SOURCE: self._source}
        sessions |= {c.name: Session(self._data(c.name)) for c in self._worthwhile(made)}
        complete, source_rounds = self._final_estimates(sessions)
        serving = [e for e in complete if may_serve(e.candidate)]
        ordered = finalists(serving, self._limit.at_most)
        names = [e.candidate.name for e in ordered if e.candidate.name not in known]
        names = names[: MOST_FINALISTS - len(known)]
        later = min(len(self._spared), MOST_FINALISTS - len(known) - len(names))
        held = {name: sessions[name] for name in names}
        opinions = dict(known)
        opinions |= self._jury.gate(held, len(known) + later) if held else {}
        passed = {name for name, opinion in opinions.items() if opinion.result.passed}
        chosen = winner(ordered, passed, may_serve(self._tried[SOURCE].candidate))
        return _Judged(complete, source_rounds, opinions, chosen)

    def _worthwhile(self, made: Sequence[Candidate]) -> list[Candidate]:
        """Those that may be faster than the source; of the others is told why they are not."""
        kept = []
        for candidate in made:
            tried = self._tried[candidate.name]
            if tried.estimate is not None and not worthwhile(tried.estimate):
                tried.conclude(Verdict.SLOWER, too_slow(tried.estimate))
            else:
                kept.append(candidate)
        return kept

    def _final_estimates(self, sessions: Mapping[str, Session]) -> tuple[list[Estimate], Rounds]:
        """All that were made in full, timed anew and all together, in the order of planning.

        And the times of the source among them.
        """
        score = self._jury.score(self._source, 1.0)
        source = self._tried[SOURCE]
        source.metric, source.size_bytes = score.metric, len(self._data(SOURCE))
        always = Interval(1.0, 1.0, 1.0)
        source.estimate = Estimate(source.candidate, 1.0, always, 0.0, 0.0, 0.0, 0.0)
        rounds = _FINAL_ROUNDS if len(sessions) > 1 else _ROUNDS
        raced = race(sessions, self._feeds, rounds, _FINAL_SECONDS)
        self._compare_with(score.metric)
        estimates = []
        for name, tried in self._tried.items():
            if name in sessions and tried.estimate is not None:
                tried.rounds, tried.beside = raced[name], raced[SOURCE]
                relative = relative_time(raced[name], raced[SOURCE])
                tried.estimate = replace(tried.estimate, time=relative)
                estimates.append(tried.estimate)
        return estimates, raced[SOURCE]

    def _compare_with(self, source: float | None) -> None:
        """What was seen on a part of the examples is told as if it had been seen on all of them.

        How much less a network is right than the source on the same examples says more than how
        often it is right on them.
        """
        if source is None or self._limit.metric.kind is MetricKind.MAX_ABS_ERROR:
            return
        for tried in self._tried.values():
            if tried.estimate is not None:
                tried.metric = source - tried.estimate.drop

    def _tell(self, judged: _Judged, may_serve: Callable[[Candidate], bool]) -> None:
        best = self._tried[judged.chosen].estimate if judged.chosen is not None else None
        for estimate in judged.complete:
            tried = self._tried[estimate.candidate.name]
            opinion = judged.opinions.get(estimate.candidate.name)
            tried.gate = opinion.result if opinion is not None else None
            gate = (opinion.result.passed, opinion.sentence) if opinion is not None else None
            tried.conclude(*verdict_of(estimate, best, self._limit, gate))
        for tried in self._tried.values():
            if not may_serve(tried.candidate):
                tried.conclude(Verdict.NOT_APPLICABLE, "spec.build.precision does not allow it")

    def _model(self, name: str) -> ModelProto:
        if name == SOURCE:
            return self._source_model
        return self._maker.make(self._tried[name].candidate, 1.0).model

    def _data(self, name: str) -> bytes:
        return self._model(name).SerializeToString()
