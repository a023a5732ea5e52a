"""Networks of several sizes in a search: which are begun, when, and what is said of the others.

Times are told and not measured: a candidate's is a share of the source's.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.build.contest import GateOpinion
from dlagent.build.optimisations.base import Made, OptimisationError
from dlagent.build.race import Feed
from dlagent.build.runtime import Session
from dlagent.build.search import Found, Search
from dlagent.domain.artifact.report import CandidateReport, Verdict
from dlagent.domain.search.candidate import SOURCE, Candidate, Plan
from dlagent.domain.search.halving import EFFORTS
from dlagent.domain.search.timing import Rounds
from tests.unit.build.test_search import FEEDS, FP32, LIMIT, Clock, Workbench, candidate, matmuls

WIDE = candidate("wide", trained=True, smaller="middle")
MIDDLE = candidate("middle", trained=True, smaller="narrow")
NARROW = candidate("narrow", trained=True)
SIZES = (WIDE, MIDDLE, NARROW)
TIMES = {SOURCE: 1.0, "wide": 0.6, "middle": 0.4, "narrow": 0.2}
FITS = "not needed: narrow has fewer channels, and keeps the accuracy"
REFUSED = OptimisationError("it cannot be made")


class Bench(Workbench):
    """All networks are the same; training takes a whole epoch of a tenth of the work, or more."""

    def __init__(
        self,
        drops: Mapping[str, float] | None = None,
        fails: Mapping[str, Exception] | None = None,
        gate: Callable[[str], bool] = lambda name: True,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(drops, fails, gate)
        self._clock = clock or Clock()
        self._spent: dict[str, float] = {}
        self.looks: list[list[str]] = []

    def make(self, candidate: Candidate, effort: float) -> Made:
        if (candidate.name, effort) not in self.made:  # what was made once is kept
            self._clock.seconds += 100 * (effort - self._spent.get(candidate.name, 0.0))
            self._spent[candidate.name] = effort
        self.made.append((candidate.name, effort))
        self._last = candidate.name
        if candidate.name in self.fails:
            raise self.fails[candidate.name]
        return Made(matmuls(1))

    def gate(self, sessions: Mapping[str, Session], others: int) -> dict[str, GateOpinion]:
        self.looks.append(list(sessions))
        return super().gate(sessions, others)

    def begun(self) -> list[str]:
        """Each once, in the order of beginning."""
        return list(dict.fromkeys(name for name, _ in self.made if name != SOURCE))


def search(
    monkeypatch: pytest.MonkeyPatch,
    bench: Bench,
    *candidates: Candidate,
    times: Mapping[str, float] = TIMES,
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
    monkeypatch.setattr("dlagent.build.search.time", bench._clock)
    work = Search(bench, bench, matmuls(1), FEEDS, (1, 8), LIMIT, lambda _: None, efforts)
    return work.run(Plan((FP32, *candidates)), lambda _: True, seconds)


def said(found: Found) -> dict[str, tuple[Verdict, str]]:
    return {report.name: (report.verdict, report.reason) for report in found.reports}


def of(found: Found, name: str) -> CandidateReport:
    return next(report for report in found.reports if report.name == name)


def chosen(found: Found) -> str | None:
    return found.chosen.name if found.chosen is not None else None


def test_larger_ones_are_not_begun_where_the_smallest_keeps_the_accuracy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()

    found = search(monkeypatch, bench, *SIZES)

    assert ("narrow", ["narrow"]) == (chosen(found), bench.begun())
    assert (Verdict.NOT_TRIED, FITS) == said(found)["wide"] == said(found)["middle"]


@pytest.mark.parametrize(
    ("bench", "winner", "verdict"),
    [
        pytest.param(
            Bench(drops={"narrow": 0.2}), "middle", Verdict.DROPPED, id="it surely loses too much"
        ),
        pytest.param(
            Bench(drops={"narrow": 0.011}),
            "middle",
            Verdict.DROPPED,
            id="it loses too much when it is made in full",
        ),
        pytest.param(
            Bench(fails={"narrow": REFUSED}), "middle", Verdict.FAILED, id="it cannot be made"
        ),
        pytest.param(
            Bench(gate=lambda name: name != "narrow"),
            "middle",
            Verdict.GATE_FAILED,
            id="the gate refuses it",
        ),
    ],
)
def test_the_next_larger_one_is_begun_where_the_smallest_does_not_do(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, winner: str, verdict: Verdict
) -> None:
    found = search(monkeypatch, bench, *SIZES)

    assert (winner, verdict) == (chosen(found), of(found, "narrow").verdict)
    assert ["narrow", "middle"] == bench.begun()
    assert Verdict.NOT_TRIED == of(found, "wide").verdict
    assert of(found, "wide").reason.startswith("not needed: ")


def test_a_larger_one_joins_the_others_as_soon_as_the_smaller_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So it is not left without time by a slower one that is trained in full."""
    clock = Clock()
    bench = Bench(drops={"narrow": 0.5}, clock=clock)
    student = candidate("student", trained=True)
    times = {**TIMES, "student": 0.8}

    found = search(monkeypatch, bench, *SIZES, student, times=times, seconds=170)

    assert "middle" == chosen(found)


def test_what_is_made_of_a_larger_one_waits_for_its_own_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The smallest keeps the accuracy in FP32 only, and the next one in INT8 is faster than it."""
    kinds = (
        candidate("middle+int8", trained=True, smaller="narrow+int8"),
        candidate("narrow+int8", trained=True),
    )
    bench = Bench(drops={"narrow+int8": 0.5})
    times = {**TIMES, "narrow": 0.4, "middle": 0.5, "narrow+int8": 0.1, "middle+int8": 0.2}

    found = search(monkeypatch, bench, *SIZES[1:], *kinds, times=times)

    assert "middle+int8" == chosen(found)
    assert "middle" not in bench.begun()


def test_the_gate_is_asked_before_a_larger_one_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(drops={"narrow": 0.0095})

    found = search(monkeypatch, bench, *SIZES)

    assert ("narrow", ["narrow"]) == (chosen(found), bench.begun())
    assert ([["narrow"]], [2]) == (bench.looks, bench.others)


@pytest.mark.parametrize(
    ("passes", "looks", "others"),
    [
        pytest.param("wide", [["narrow"], ["middle"], ["wide"]], [2, 2, 2], id="the last of them"),
        pytest.param("middle", [["narrow"], ["middle"]], [2, 2], id="the second"),
        pytest.param("slow", [["narrow"], ["middle"], ["wide"]], [2, 2, 2], id="another: too late"),
    ],
)
def test_the_gate_judges_three_the_fastest_first_whenever_they_are_made(
    monkeypatch: pytest.MonkeyPatch, passes: str, looks: list[list[str]], others: list[int]
) -> None:
    """What is slower than those that may still be made does not take their place."""
    bench = Bench(gate=lambda name: name == passes)
    times = {**TIMES, "slow": 0.9}

    found = search(monkeypatch, bench, *SIZES, candidate("slow"), times=times)

    assert (looks, others) == (bench.looks, bench.others)
    assert (passes if passes in TIMES else SOURCE) == chosen(found)
    if passes == "slow":
        why = "the gate judged three others before it, and each more makes it harder for all"
        assert (Verdict.DROPPED, why) == said(found)["slow"]


def test_without_others_that_are_faster_all_are_judged_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(drops={"narrow": 0.5, "middle": 0.5, "wide": 0.5})
    times = {**TIMES, "a": 0.7, "b": 0.8}

    search(monkeypatch, bench, *SIZES, candidate("a"), candidate("b"), times=times)

    assert ([["a", "b"]], [0]) == (bench.looks, bench.others)


def test_one_that_is_tied_with_who_spares_it_is_not_taken_back_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(drops={"a": 0.005, "b": 0.001})
    times = {**TIMES, "a": 0.40, "b": 0.43, "c": 0.42}
    fillers = {f"x{at}": 0.6 + 0.01 * at for at in range(9)}

    found = search(
        monkeypatch,
        bench,
        candidate("a"),
        candidate("b"),
        candidate("c", trained=True),
        *(candidate(name) for name in fillers),
        times=times | fillers,
        noise={"b": 0.1},
    )

    assert "b" == chosen(found)
    assert (
        Verdict.DROPPED,
        "takes 42% of the source's time; faster, and keeps the accuracy: a",
    ) == said(found)["c"]


def test_a_larger_one_is_not_begun_where_the_smaller_is_too_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    times = {**TIMES, "a": 0.05, "b": 0.06}

    found = search(monkeypatch, bench, *SIZES, candidate("a"), candidate("b"), times=times)

    assert "narrow" in bench.begun()
    assert "middle" not in bench.begun()
    slow = "takes 20% of the source's time; faster: a, b"
    assert (Verdict.DROPPED, slow) == said(found)["narrow"]
    expected = (
        "not needed: narrow has fewer channels and takes 20% of the source's time; no slower, and"
        " keeps the accuracy: a"
    )
    assert expected == of(found, "middle").reason == of(found, "wide").reason


def test_where_none_of_the_faster_ones_fits_a_larger_one_is_begun_after_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though the smaller was given up for them, before it was known that they do not fit."""
    bench = Bench(drops={"a": 0.011, "b": 0.011, "narrow": 0.011})
    times = {**TIMES, "a": 0.05, "b": 0.06}

    found = search(monkeypatch, bench, *SIZES, candidate("a"), candidate("b"), times=times)

    assert "middle" == chosen(found)
    assert "wide" not in bench.begun()


def test_what_waits_for_one_that_was_given_up_makes_the_gate_no_harder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    times = {**TIMES, "a": 0.05, "b": 0.06}

    search(monkeypatch, bench, *SIZES, candidate("a"), candidate("b"), times=times)

    assert ([["a", "b"]], [0]) == (bench.looks, bench.others)


def test_a_larger_one_is_not_begun_in_less_time_than_the_smaller_one_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(drops={"narrow": 0.011})

    found = search(monkeypatch, bench, *SIZES, seconds=150)

    assert ["narrow"] == bench.begun()
    assert (Verdict.NOT_TRIED, "no time was left: narrow took 100 s") == said(found)["middle"]
    why = "no time was left; middle, which has fewer channels, was not made in full"
    assert (Verdict.NOT_TRIED, why) == said(found)["wide"]


def test_what_waits_for_one_that_was_not_tried_was_not_tried_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = search(monkeypatch, Bench(), *SIZES, seconds=0)

    assert (Verdict.NOT_TRIED, "no time was left for 10% of the work") == said(found)["narrow"]
    why = "no time was left; narrow, which has fewer channels, was not made in full"
    assert (Verdict.NOT_TRIED, why) == said(found)["middle"] == said(found)["wide"]


def test_what_comes_back_is_not_estimated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(gate=lambda name: name != "a")
    times = {**TIMES, "a": 0.2, "b": 0.3}
    trained = [candidate(name, trained=True) for name in ("a", "b")]

    found = search(monkeypatch, bench, *trained, times=times)

    assert "b" == chosen(found)
    assert [0.1, 0.3, 1.0] == list(dict.fromkeys(e for name, e in bench.made if name == "b"))
    assert 1 == bench.made.count(("b", 0.3))


def test_all_that_come_back_are_made_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were promoted before, and nobody knows yet which of them does."""
    names = "abcdefghijklmnop"
    times = {SOURCE: 1.0} | {name: 0.1 + 0.05 * at for at, name in enumerate(names)}
    bench = Bench(drops={"b": 0.011, "c": 0.011, "d": 0.009}, gate=lambda name: name == "d")

    found = search(
        monkeypatch,
        bench,
        *(candidate(name, trained=True) for name in names),
        times=times,
        seconds=6000,
    )

    assert "d" == chosen(found)


def test_with_one_effort_all_are_made_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    search(monkeypatch, bench, *SIZES, efforts=(1.0,))

    assert {"wide", "middle", "narrow"} == set(bench.begun())
    assert {1.0} == {effort for _, effort in bench.made}


KINDS = tuple(
    candidate(name, trained=True, smaller=smaller)
    for name, smaller in (
        ("wide", "middle"),
        ("middle", "narrow"),
        ("narrow", None),
        ("wide+int8", "middle+int8"),
        ("middle+int8", "narrow+int8"),
        ("narrow+int8", None),
    )
)
OTHERS = tuple(candidate(name) for name in ("a", "b", "c"))
shares = st.floats(0.05, 1.2)
losses = st.sampled_from([0.0, 0.009, 0.011, 0.5])


@given(
    st.tuples(shares, shares, shares).map(sorted),
    st.tuples(shares, shares, shares).map(sorted),
    st.tuples(shares, shares, shares),
    st.lists(losses, min_size=9, max_size=9),
    st.sets(st.sampled_from([c.name for c in (*KINDS, *OTHERS)])),
)
def test_who_is_never_begun_could_not_have_won(
    sizes: list[float],
    quantised: list[float],
    others: tuple[float, ...],
    lost: list[float],
    refused: set[str],
) -> None:
    """Beside the search that makes all in full: that one's winner was given up for others after an
    estimate, or something that waits for it was; or the winner is as fast.
    """
    names = [c.name for c in (*KINDS, *OTHERS)]
    times = dict(zip(names, [*sizes[::-1], *quantised[::-1], *others], strict=True))
    drops = dict(zip(names, lost, strict=True))
    best: dict[int, str] = {}
    for efforts in (EFFORTS, (1.0,)):
        with pytest.MonkeyPatch.context() as patch:
            bench = Bench(drops, gate=lambda name: name not in refused)
            found = search(
                patch,
                bench,
                *KINDS,
                *OTHERS,
                times={SOURCE: 1.0, **times},
                efforts=efforts,
                seconds=10_000,
            )
        assert all(report.reason for report in found.reports)
        best[len(efforts)] = str(chosen(found))
        if efforts == EFFORTS:
            reports = {report.name: report for report in found.reports}
    times[SOURCE] = 1.0
    name: str | None = best[1]
    given_up = False
    while name is not None and not given_up:
        given_up = "; faster: " in reports[name].reason or "given up" in reports[name].reason
        name = next((c.smaller for c in KINDS if c.name == name), None)
    assert given_up or times[best[len(EFFORTS)]] <= times[best[1]] / 0.97
