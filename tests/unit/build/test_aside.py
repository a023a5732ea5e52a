"""Networks of several sizes in a search: which are begun, when, and what is said of the others."""

import pytest

from dlagent.build.optimisations.base import OptimisationError
from dlagent.domain.artifact.report import Verdict
from dlagent.domain.search.candidate import SOURCE
from tests.unit.build.test_search import candidate
from tests.unit.build.told_times import Bench, chosen, of, said, search

WIDE = candidate("wide", trained=True, smaller="middle")
MIDDLE = candidate("middle", trained=True, smaller="narrow")
NARROW = candidate("narrow", trained=True)
SIZES = (WIDE, MIDDLE, NARROW)
TIMES = {SOURCE: 1.0, "wide": 0.6, "middle": 0.4, "narrow": 0.2}
FITS = "not needed: narrow has fewer channels, and keeps the accuracy"
REFUSED = OptimisationError("it cannot be made")


def test_larger_ones_are_not_begun_where_the_smallest_keeps_the_accuracy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()

    found = search(monkeypatch, bench, *SIZES, times=TIMES)

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
    found = search(monkeypatch, bench, *SIZES, times=TIMES)

    assert (winner, verdict) == (chosen(found), of(found, "narrow").verdict)
    assert ["narrow", "middle"] == bench.begun()
    assert Verdict.NOT_TRIED == of(found, "wide").verdict
    assert of(found, "wide").reason.startswith("not needed: ")


def test_a_larger_one_joins_the_others_as_soon_as_the_smaller_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So it is not left without time by a slower one that is trained in full."""
    bench = Bench(drops={"narrow": 0.5})
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

    found = search(monkeypatch, bench, *SIZES, times=TIMES)

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

    found = search(monkeypatch, bench, *SIZES, seconds=150, times=TIMES)

    assert ["narrow"] == bench.begun()
    assert (Verdict.NOT_TRIED, "no time was left: narrow took 100 s") == said(found)["middle"]
    why = "no time was left; middle, which has fewer channels, was not made in full"
    assert (Verdict.NOT_TRIED, why) == said(found)["wide"]


def test_what_waits_for_one_that_was_not_tried_was_not_tried_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = search(monkeypatch, Bench(), *SIZES, seconds=0, times=TIMES)

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

    search(monkeypatch, bench, *SIZES, efforts=(1.0,), times=TIMES)

    assert {"wide", "middle", "narrow"} == set(bench.begun())
    assert {1.0} == {effort for _, effort in bench.made}
