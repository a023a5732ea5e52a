"""The end of a search: what was made in full is timed together, and held against the gate.

Used by dlagent.build.search, which may make more where the gate refuses the best.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dlagent.api.types import Metric as MetricKind
from dlagent.build.aside import Aside
from dlagent.build.contest import Contest, GateOpinion
from dlagent.build.machines import Runner
from dlagent.build.race import RunnerError, race
from dlagent.build.runtime import RunError
from dlagent.build.tried import Tried
from dlagent.domain.artifact.report import CandidateReport, Verdict
from dlagent.domain.search.candidate import SOURCE, Candidate
from dlagent.domain.search.choice import MOST_FINALISTS, contenders, winner
from dlagent.domain.search.halving import Estimate, too_slow, worthwhile
from dlagent.domain.search.timing import Rounds, relative_time
from dlagent.domain.search.verdict import verdict_of

_ROUNDS = 25
_SECONDS = 30.0
_ROUNDS_ALONE = 9  # of the source, which is compared with nobody


class Finals:
    """Of one search. `tried` is what it knows, `aside` who may still be made.

    `chosen` is who serves, by what was judged until now; None where nobody may.
    """

    def __init__(
        self,
        contest: Contest,
        tried: Mapping[str, Tried],
        aside: Aside,
        may_serve: Callable[[Candidate], bool],
    ) -> None:
        self._contest = contest
        self._tried = tried
        self._aside = aside
        self._may_serve = may_serve
        self._sessions: dict[str, Runner] = {}
        self._complete: list[Estimate] = []
        self._opinions: dict[str, GateOpinion] = {}
        self.chosen: str | None = None

    def compare(self, made: Sequence[Candidate]) -> None:
        """Time all that were made in full anew, together with the source."""
        self._contest.say(f"comparing {len(made) + 1} versions")
        self._start(self._worthwhile(made))
        rounds = _ROUNDS if len(self._sessions) > 1 else _ROUNDS_ALONE
        raced = self._raced(rounds)
        self._compare_metrics()
        self._complete = []
        for name, tried in self._tried.items():
            if name in self._sessions and tried.estimate is not None:
                tried.rounds, tried.beside = raced[name], raced[SOURCE]
                relative = relative_time(raced[name], raced[SOURCE])
                tried.estimate = replace(tried.estimate, time=relative)
                self._complete.append(tried.estimate)

    def judge(self) -> None:
        """Hold the best before the gate that it has not judged, and choose.

        Who may still be beaten by one that was put aside is judged after that one, so that it does
        not take its place.
        """
        unjudged = self.unjudged
        first = [e for e in unjudged if not self._aside.may_yet_beat(e)] or unjudged
        left = MOST_FINALISTS - len(self._opinions)
        names = [estimate.candidate.name for estimate in first[:left]]
        refused = len(self._opinions) - len(self._passed())
        # Who comes later counts now: all that there is room for, since they are not known yet.
        more = len(first) < len(unjudged) or self._aside.any_may_come
        later = left - len(names) if more else 0
        if names:
            held = {name: self._sessions[name] for name in names}
            self._opinions |= self._contest.jury.gate(held, refused + later)
        for name in names:
            self._tried[name].gate = self._opinions[name].result
        source = self._may_serve(self._tried[SOURCE].candidate)
        self.chosen = self._aside.chosen = winner(self._contenders(), self._passed(), source)

    @property
    def may_judge_more(self) -> bool:
        return len(self._opinions) < MOST_FINALISTS

    @property
    def nobody_stood(self) -> bool:
        """Nothing that was made lost so little that the gate had to be asked."""
        return not self._opinions

    @property
    def unjudged(self) -> list[Estimate]:
        """Who would serve instead of who is chosen, if the gate let them pass; the best first."""
        found = []
        for estimate in self._contenders():
            if estimate.candidate.name == self.chosen:
                break
            if estimate.candidate.name not in self._opinions:
                found.append(estimate)
        return found

    def conclude(self) -> list[CandidateReport]:
        """What became of each candidate, for the report."""
        best = self._tried[self.chosen].estimate if self.chosen is not None else None
        for estimate in self._complete:
            tried = self._tried[estimate.candidate.name]
            opinion = self._opinions.get(estimate.candidate.name)
            gate = (opinion.result.passed, opinion.sentence) if opinion is not None else None
            tried.conclude(*verdict_of(estimate, best, self._contest.limit, gate))
        self._close()
        self._aside.conclude()
        for tried in self._tried.values():
            if not self._may_serve(tried.candidate):
                tried.conclude(Verdict.NOT_APPLICABLE, "spec.build.precision does not allow it")
        source = self._tried[SOURCE].rounds
        assert source is not None  # noqa: S101 - `compare` was called
        return [tried.report(self._contest.batches, source) for tried in self._tried.values()]

    def _contenders(self) -> list[Estimate]:
        serving = [e for e in self._complete if self._may_serve(e.candidate)]
        return contenders(serving, self._contest.limit.at_most)

    def _passed(self) -> set[str]:
        return {name for name, opinion in self._opinions.items() if opinion.result.passed}

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

    def _compare_metrics(self) -> None:
        """What was seen on a part of the examples is told as if it had been seen on all of them.

        How much less a network is right than the source on the same examples says more than how
        often it is right on them.
        """
        metric = self._contest.jury.metric(self._contest.session)
        source = self._tried[SOURCE]
        source.metric = metric
        source.size_bytes = len(self._data(source.candidate))
        if metric is None or self._contest.limit.metric.kind is MetricKind.MAX_ABS_ERROR:
            return
        for tried in self._tried.values():
            if tried.estimate is not None:
                tried.metric = metric - tried.estimate.drop

    def _start(self, wanted: Sequence[Candidate]) -> None:
        """Have those run, beside the source, and no others."""
        names = {candidate.name for candidate in wanted}
        for name in self._sessions.keys() - names - {SOURCE}:
            self._sessions.pop(name).close()
        self._sessions[SOURCE] = self._contest.session
        for candidate in wanted:
            if candidate.name in self._sessions:
                continue
            try:
                runner = self._contest.start(self._data(candidate), candidate.engine)
            except RunError as error:  # there may be no room for all of them
                self._tried[candidate.name].give_up(Verdict.FAILED, str(error))
            else:
                self._sessions[candidate.name] = runner

    def _raced(self, rounds: int) -> dict[str, Rounds]:
        """Of all that run side by side: there may be no room for the work of all of them."""
        while True:
            try:
                return race(self._sessions, self._contest.feeds, rounds, _SECONDS)
            except RunnerError as error:
                # The source needs room too: where it has none, who came last has to go.
                name = error.name if error.name != SOURCE else list(self._sessions)[-1]
                if name == SOURCE:
                    raise
                self._tried[name].give_up(Verdict.FAILED, f"beside the others: {error}")
                self._sessions.pop(name).close()

    def _close(self) -> None:
        for runner in self._sessions.values():
            runner.close()
        self._sessions = {}

    def _data(self, candidate: Candidate) -> bytes:
        return self._contest.model(candidate).SerializeToString()
