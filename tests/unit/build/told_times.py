"""A search whose times are told and not measured: a candidate's is a share of the source's."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from dlagent.build.contest import GateOpinion
from dlagent.build.optimisations.base import Made
from dlagent.build.race import Feed
from dlagent.build.runtime import Answering, Session
from dlagent.build.search import Found, Search
from dlagent.domain.artifact.report import CandidateReport, Verdict
from dlagent.domain.search.candidate import SOURCE, Candidate, Plan
from dlagent.domain.search.halving import EFFORTS
from dlagent.domain.search.timing import Rounds
from tests.unit.build.test_search import FEEDS, FP32, LIMIT, Clock, Workbench, matmuls, start


class Bench(Workbench):
    """All networks are the same, and each takes 100 s of `clock` to be made in full."""

    def __init__(
        self,
        drops: Mapping[str, float] | None = None,
        fails: Mapping[str, Exception] | None = None,
        gate: Callable[[str], bool] = lambda name: True,
    ) -> None:
        super().__init__(drops, fails, gate)
        self.clock = Clock()
        self._spent: dict[str, float] = {}
        self.looks: list[list[str]] = []

    def make(self, candidate: Candidate, effort: float) -> Made:
        if (candidate.name, effort) not in self.made:  # what was made once is kept
            self.clock.seconds += 100 * (effort - self._spent.get(candidate.name, 0.0))
            self._spent[candidate.name] = effort
        self.made.append((candidate.name, effort))
        self._last = candidate.name
        if candidate.name in self.fails:
            raise self.fails[candidate.name]
        return Made(matmuls(1))

    def gate(self, sessions: Mapping[str, Answering], others: int) -> dict[str, GateOpinion]:
        self.looks.append(list(sessions))
        return super().gate(sessions, others)

    def begun(self) -> list[str]:
        """Each once, in the order of beginning."""
        return list(dict.fromkeys(name for name, _ in self.made if name != SOURCE))


def search(
    monkeypatch: pytest.MonkeyPatch,
    bench: Bench,
    *candidates: Candidate,
    times: Mapping[str, float],
    noise: Mapping[str, float] | None = None,
    efforts: Sequence[float] = EFFORTS,
    seconds: float = 600,
) -> Found:
    def race(
        sessions: Mapping[str, Session], feeds: Sequence[Feed], rounds: int, budget_seconds: float
    ) -> dict[str, Rounds]:
        del budget_seconds
        found = {}
        for name in sessions:
            wide = (noise or {}).get(name, 0.0) * np.linspace(-1, 1, rounds)
            found[name] = np.repeat((times[name] + wide)[:, None], len(feeds), axis=1)
        return found

    for module in ("search", "finals"):
        monkeypatch.setattr(f"dlagent.build.{module}.race", race)
    monkeypatch.setattr("dlagent.build.search.time", bench.clock)
    work = Search(bench, bench, start, matmuls(1), FEEDS, (1, 8), LIMIT, lambda _: None, efforts)
    return work.run(Plan((FP32, *candidates)), lambda _: True, seconds)


def said(found: Found) -> dict[str, tuple[Verdict, str]]:
    return {report.name: (report.verdict, report.reason) for report in found.reports}


def of(found: Found, name: str) -> CandidateReport:
    return next(report for report in found.reports if report.name == name)


def chosen(found: Found) -> str | None:
    return found.chosen.name if found.chosen is not None else None
