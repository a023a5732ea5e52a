"""The search: makes and measures candidates with ever more effort, and judges the best of them.

What goes on, and who wins, is decided in dlagent.domain.search; here it is done. Called by
dlagent.build.pipeline.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from onnx import ModelProto

from dlagent.build.aside import Aside
from dlagent.build.contest import Contest, Jury, Maker, Start
from dlagent.build.failure import BuildError
from dlagent.build.finals import Finals
from dlagent.build.machines import Runner
from dlagent.build.optimisations.base import OptimisationError
from dlagent.build.race import Feed, affordable_feeds, race
from dlagent.build.runtime import RunError
from dlagent.build.tried import Tried
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.report import CandidateReport, Verdict
from dlagent.domain.gate.limit import Limit
from dlagent.domain.search.candidate import SOURCE, Candidate, Plan
from dlagent.domain.search.halving import (
    EFFORTS,
    Estimate,
    affordable,
    hopeless,
    of_the_source,
    promote,
)
from dlagent.domain.search.timing import Interval, relative_time

_ROUNDS = 9  # for an estimate; an interval of 95 % for a median needs six
_SECONDS = 4.0
# One epoch of training may take all the time that there is. What was estimated before and needs no
# training is then still judged in full, for this share of the time.
_GRACE = 0.25


@dataclass(frozen=True)
class Found:
    """How the search ended. `chosen` and `model` None: nothing that may serve passed the gate."""

    chosen: Candidate | None
    model: ModelProto | None
    reports: list[CandidateReport]


class Search:
    """One search. `feeds` are batches of the sizes `batches`, smallest first.

    With one effort only, that of 1, every candidate is made in full.
    """

    def __init__(
        self,
        maker: Maker,
        jury: Jury,
        start: Start,
        source: ModelProto,
        feeds: Sequence[Feed],
        batches: Sequence[int],
        limit: Limit,
        say: Callable[[str], None],
        efforts: Sequence[float] = EFFORTS,
    ) -> None:
        session = start(source.SerializeToString(), Engine.ONNX_RUNTIME)
        feeds = affordable_feeds(session, feeds, _SECONDS)
        batches = batches[: len(feeds)]
        self._contest = Contest(maker, jury, start, source, session, feeds, batches, limit, say)
        self._efforts = efforts
        self._all_in_full = len(efforts) == 1
        self._tried: dict[str, Tried] = {}
        self._aside = Aside(self._tried, limit.at_most)

    def run(self, plan: Plan, may_serve: Callable[[Candidate], bool], seconds: float) -> Found:
        """Find the candidate that serves, of those that may. The source must be planned."""
        end = time.monotonic() + seconds
        self._tried = {c.name: Tried(c) for c in plan.candidates}
        source = self._tried[SOURCE]
        source.estimate = of_the_source(source.candidate)
        source.asked = 1.0 if may_serve(source.candidate) else 0.0
        self._aside = Aside(self._tried, self._contest.limit.at_most)
        wanted = [c for c in plan.candidates if c.name != SOURCE and may_serve(c)]
        begun = wanted if self._all_in_full else self._aside.let_wait(wanted)
        return self._conclude(plan, self._make(begun, end), may_serve, end)

    def _make(self, candidates: Sequence[Candidate], end: float) -> list[Candidate]:
        """Those that were made in full: of the candidates, and of those that waited for them."""
        made: list[Candidate] = []
        begun = list(candidates)
        while begun:
            made += self._halve([c for c in begun if self._has_time_for(c, end)], end)
            begun = self._aside.take()
        return made

    def _has_time_for(self, candidate: Candidate, end: float) -> bool:
        """Whether there is as much as the smaller one took: a larger one takes no less."""
        smaller = self._tried.get(candidate.smaller or "")
        if smaller is None or smaller.asked < 1 or smaller.seconds <= end - time.monotonic():
            return True
        why = f"no time was left: {smaller.candidate.name} took {smaller.seconds:.0f} s"
        self._tried[candidate.name].conclude(Verdict.NOT_TRIED, why)
        return False

    def _halve(self, candidates: Sequence[Candidate], end: float) -> list[Candidate]:
        """Those of the candidates that were made in full."""
        seconds = max(end - time.monotonic(), 0.0)
        alive = list(candidates)
        for effort in self._efforts[:-1]:
            # First estimates are worth nothing unless something is made in full afterwards.
            alive = self._estimate_all(alive, effort, end - seconds / 2)
        untrained_end = max(end, time.monotonic() + _GRACE * seconds)
        return self._make_all(alive, self._efforts[-1], end, untrained_end)

    def _estimate_all(
        self, candidates: Sequence[Candidate], effort: float, end: float
    ) -> list[Candidate]:
        """Who goes on; beside the candidates those that waited for one which is given up here.

        What was promoted before, and then put aside, goes on in any case.
        """
        promoted = [c for c in candidates if self._tried[c.name].asked >= effort]
        begun = [c for c in candidates if c not in promoted]
        made: list[Candidate] = []
        while begun:
            made += self._hopeful(self._make_all(begun, effort, end, end))
            begun = self._aside.take()
        return promoted + self._promoted(made)

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
            if last and not self._all_in_full and self._aside.put(candidate):
                continue
            self._contest.say(f"{candidate.name}, {number} of {len(order)}{share}")
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
            tried.give_up(Verdict.FAILED, str(error))
        except BuildError as error:
            tried.give_up(Verdict.FAILED, error.message)
        except MemoryError:
            remedy = "raise spec.build.resources.limits.memory"
            tried.give_up(Verdict.FAILED, f"out of memory; {remedy}")
        else:
            tried.asked = effort
            return True
        finally:
            tried.seconds += time.monotonic() - began
        return False

    def _estimate(self, tried: Tried, effort: float, began: float) -> None:
        made = self._contest.maker.make(tried.candidate, effort)
        data = made.model.SerializeToString()
        starting = time.monotonic()
        with closing(self._contest.start(data, tried.candidate.engine)) as runner:
            start_seconds = time.monotonic() - starting
            score = self._contest.jury.score(runner, effort)
            # More effort changes weights, not how long they take.
            known = tried.estimate
            relative = known.time if known is not None else self._relative_time(tried, runner)
        taken = time.monotonic() - began
        tried.estimate = Estimate(
            tried.candidate,
            made.effort or effort,
            relative,
            score.drop,
            score.at_least,
            score.at_most,
            taken,
            start_seconds,
        )
        tried.metric, tried.notes = score.metric, made.notes
        tried.size_bytes = len(data)

    def _relative_time(self, tried: Tried, runner: Runner) -> Interval:
        """In turns with the source."""
        name = tried.candidate.name
        sessions = {SOURCE: self._contest.session, name: runner}
        raced = race(sessions, self._contest.feeds, _ROUNDS, _SECONDS)
        tried.rounds, tried.beside = raced[name], raced[SOURCE]
        return relative_time(raced[name], raced[SOURCE])

    def _hopeful(self, made: Sequence[Candidate]) -> list[Candidate]:
        """Those that may still keep the accuracy."""
        kept = []
        for candidate in made:
            tried = self._tried[candidate.name]
            why = (
                hopeless(tried.estimate, self._contest.limit)
                if tried.estimate is not None
                else None
            )
            if why is None:
                kept.append(candidate)
            else:
                tried.give_up(Verdict.DROPPED, why)
        return kept

    def _promoted(self, made: Sequence[Candidate]) -> list[Candidate]:
        estimates = [e for c in made if (e := self._tried[c.name].estimate) is not None]
        promotion = promote(estimates, self._contest.limit)
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
        finals = Finals(self._contest, self._tried, self._aside, may_serve)
        finals.compare(made)
        finals.judge()
        while finals.may_judge_more:
            begun = self._aside.take()
            if not begun and finals.nobody_stood:
                begun = self._aside.take_given_up()
            if begun:
                made = [*made, *self._make(begun, end)]
                finals.compare(made)
            elif not finals.unjudged:
                break
            finals.judge()
        reports = finals.conclude()
        reports += [
            CandidateReport(name=s.name, verdict=Verdict.NOT_APPLICABLE, reason=s.reason)
            for s in plan.skipped
        ]
        if finals.chosen is None:
            return Found(None, None, reports)
        chosen = self._tried[finals.chosen].candidate
        return Found(chosen, self._contest.model(chosen), reports)
