"""From samples to signals: each row is a situation that Prometheus or a pod can bring."""

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlagent.domain.scaling.latency import Mixture
from dlagent.domain.scaling.samples import PodSamples, Sample, without_warm_up
from dlagent.domain.scaling.signals import PodSeen, Signals, Supply, signals
from dlagent.domain.scaling.values import Measured, NoData, NoTraffic, Reading

NOW = 10_000.0
INTERVAL = 15.0
OLD = PodSeen("old", Supply.READY, created=NOW - 3600, ready_since=NOW - 3590)
OTHER = replace(OLD, name="other")
NEW = PodSeen("new", Supply.READY, created=NOW - 90, ready_since=NOW - 20, counted_since=NOW - 17)
COMING = replace(OLD, name="coming", serving=False)
NO_SAMPLE = NoData("Prometheus has no fresh sample of any pod that answers")
TIMES = (NOW - 47, NOW - 32, NOW - 17, NOW - 2)


def line(first: float, per_second: float, times: tuple[float, ...] = TIMES) -> tuple[Sample, ...]:
    """A counter that rises evenly."""
    return tuple((at, first + per_second * (at - times[0])) for at in times)


def pod(
    rate: float,
    first: float = 1000.0,
    times: tuple[float, ...] = TIMES,
    waiting: tuple[float, ...] | None = None,
    rows: float = 1.0,
) -> PodSamples:
    """A pod that answers `rate` requests/s."""
    queue = waiting or tuple(0.0 for _ in times)
    return PodSamples(
        successes=line(first, rate, times),
        failures=tuple((at, 0.0) for at in times),
        pending=tuple(zip(times, queue, strict=True)),
        inferences=line(rows * first, rows * rate, times),
        quantiles=((0.5, 0.1), (0.99, 0.2)),
    )


def seen(samples: dict[str, PodSamples], *pods: PodSeen) -> Signals:
    return signals(samples, pods, len(pods), NOW, INTERVAL)


@pytest.mark.parametrize(
    ("age", "overdue"),
    [
        pytest.param(1.0, False, id="the next sample is due just now"),
        pytest.param(1.2, False, id="a scrape takes its time"),
        pytest.param(1.3, True, id="it should be there"),
        pytest.param(2.4, True, id="the last one still counts"),
    ],
)
def test_a_sample_that_should_be_there_is_overdue(age: float, overdue: bool) -> None:
    times = tuple(NOW - INTERVAL * (age + number) for number in (3, 2, 1, 0))
    found = seen({"old": pod(20, times=times), "other": pod(20)}, OLD, OTHER)
    assert (overdue, ()) == (found.overdue, found.missing)


def with_odd(place: int, value: float) -> tuple[Sample, ...]:
    """Of a pod that answers 20 a second, and has answered a million."""
    samples = [(at, 1e6 + 20 * (at - TIMES[0])) for at in TIMES]
    samples[place] = (samples[place][0], value)
    return tuple(samples)


ODD = [
    (f"{value:g} at place {place}", with_odd(place, value), NOW - 2)
    for place in range(4)
    for value in (0.0, 5e5, 1e12, 9e18)
]


@pytest.mark.parametrize(
    ("samples", "pods", "expected"),
    [
        pytest.param(
            {"old": pod(20)}, (OLD,), Measured(20, NOW - 2), id="a steady pod gives its rate"
        ),
        pytest.param(
            {"old": pod(20), "other": pod(10)},
            (OLD, OTHER),
            Measured(30, NOW - 2),
            id="rates of pods add up",
        ),
        pytest.param(
            {"old": pod(0)}, (OLD,), NoTraffic(NOW - 2), id="a pod that nobody asks has no traffic"
        ),
        pytest.param(
            {"old": pod(20, waiting=(0, 45, 90, 135))},
            (OLD,),
            Measured(23, NOW - 2),
            id="what waits has arrived though it is not answered",
        ),
        pytest.param(
            {
                "old": replace(
                    pod(20),
                    successes=((TIMES[0], 900), (TIMES[1], 1200), (TIMES[2], 300), (TIMES[3], 600)),
                )
            },
            (OLD,),
            Measured(20, NOW - 2),
            id="a restarted Triton counts from zero, and nothing is lost but what it held",
        ),
        pytest.param(
            {"new": pod(20, first=300, times=(NOW - 17, NOW - 2))},
            (NEW,),
            Measured(600 / 18, NOW - 2),
            id="a pod that is new counts from zero since it is ready",
        ),
        pytest.param(
            {"old": pod(10), "new": pod(10, first=150, times=(NOW - 2,))},
            (OLD, replace(NEW, counted_since=NOW - 2)),
            Measured((450 + 150) / 45, NOW - 2),
            id="a pod that is new took its load over from the others",
        ),
        pytest.param(
            {"old": pod(20), "other": pod(20, times=(NOW - 54, NOW - 39, NOW - 24, NOW - 9))},
            (OLD, OTHER),
            Measured(40, NOW - 2),
            id="pods that are scraped at other moments lose nothing",
        ),
        pytest.param(
            {"old": pod(20), "other": pod(20, times=(NOW - 47, NOW - 17))},
            (OLD, OTHER),
            Measured(40, NOW - 2),
            id="a pod that answers only every other scrape loses nothing",
        ),
        pytest.param(
            {"old": pod(10), "new": pod(10, first=700, times=(NOW - 2,))},
            (OLD, replace(NEW, ready_since=NOW - 72, counted_since=NOW - 2)),
            Measured(10 + 700 / 70, NOW - 2),
            id="a pod whose first sample came late had all that time for it",
        ),
        pytest.param(
            {
                "old": pod(20, times=(NOW - 56, NOW - 41, NOW - 26, NOW - 11)),
                "new": pod(20, first=60, times=(NOW - 17, NOW - 2)),
            },
            (OLD, NEW),
            Measured((900 + 360 * 9 / 18) / 45, NOW - 2),
            id="what a new pod got after the others were scraped is not counted twice",
        ),
        pytest.param(
            {"old": pod(20), "new": pod(10, times=(NOW - 17, NOW - 2))},
            (OLD, replace(NEW, counted_since=math.inf)),
            Measured(30, NOW - 2),
            id="a counter that was not seen to begin counts from its first sample",
        ),
        pytest.param(
            {"old": pod(20), "coming": pod(5)},
            (OLD, COMING),
            Measured(25, NOW - 2),
            id="what pods of another revision answer counts as well",
        ),
        pytest.param(
            {"old": pod(20)},
            (OLD, COMING, replace(COMING, name="coming too")),
            Measured(20, NOW - 2),
            id="pods of another revision are not missed",
        ),
        pytest.param({}, (), NoData("no pod has been measured yet"), id="no pods are no data"),
        pytest.param(
            {},
            (OLD,),
            NO_SAMPLE,
            id="a lost series is no data and never zero",
        ),
        pytest.param(
            {"old": pod(20, times=tuple(at - 45 for at in TIMES))},
            (OLD,),
            NO_SAMPLE,
            id="samples older than two and a half intervals are stale",
        ),
        pytest.param(
            {"old": pod(20, times=(NOW - 2,))},
            (OLD,),
            NO_SAMPLE,
            id="after a gap one sample has no difference",
        ),
        pytest.param(
            {"old": replace(pod(20), successes=tuple((at, math.nan) for at in TIMES))},
            (OLD,),
            NO_SAMPLE,
            id="NaN is missing",
        ),
        pytest.param(
            {"old": replace(pod(20), pending=tuple((at, -1.0) for at in TIMES))},
            (OLD,),
            NO_SAMPLE,
            id="a negative queue is missing",
        ),
        pytest.param(
            {"old": replace(pod(20), inferences=())},
            (OLD,),
            NO_SAMPLE,
            id="without its rows a request is not known to have one",
        ),
        pytest.param(
            {"old": replace(pod(20), inferences=line(0, 20, TIMES[:-1]))},
            (OLD,),
            NO_SAMPLE,
            id="rows are of the same moments as requests",
        ),
        pytest.param(
            {"old": replace(pod(20), twice=True)},
            (OLD,),
            NO_SAMPLE,
            id="a pod that is scraped twice is missing",
        ),
        pytest.param(
            {"old": pod(20), "other": replace(pod(9e9), successes=((NOW - 2, math.inf),))},
            (OLD, OTHER),
            Measured(40, NOW - 2),
            id="one pod's garbage does not move the whole: it is taken for one like the others",
        ),
        *(
            pytest.param(
                {"old": pod(20), "other": replace(pod(20, first=1e6), successes=odd)},
                (OLD, OTHER),
                Measured(40, at),
                id=f"one sample that is {what} does not move the whole",
            )
            for what, odd, at in ODD
        ),
        pytest.param(
            {"old": pod(20)},
            (OLD, OTHER, replace(OLD, name="third")),
            NoData("Prometheus has no fresh sample of most pods that answer"),
            id="of a minority of pods nothing follows",
        ),
        pytest.param(
            {"old": pod(20)},
            (OLD, NEW),
            Measured(20, NOW - 2),
            id="a pod that Prometheus cannot have seen yet is not missed",
        ),
    ],
)
def test_arrivals(
    samples: dict[str, PodSamples], pods: tuple[PodSeen, ...], expected: Reading
) -> None:
    found = seen(samples, *pods).arrivals
    if isinstance(expected, Measured):
        assert isinstance(found, Measured)
        assert pytest.approx(expected.value) == found.value
        assert expected.at == found.at
    else:
        assert expected == found


def test_only_pods_of_the_serving_revision_are_supply() -> None:
    assert 1 == seen({"old": pod(20)}, OLD, COMING).count(Supply.READY)


def test_the_rate_says_how_many_requests_it_rests_on() -> None:
    assert pytest.approx(20 * 45) == seen({"old": pod(20)}, OLD).counted


def test_pods_that_answer_and_are_not_measured_are_named() -> None:
    assert ("other",) == seen({"old": pod(20)}, OLD, OTHER).missing


@pytest.mark.parametrize(
    ("rows", "cached", "inferences", "backlog"),
    [
        pytest.param(0.25, True, 0.25, 40, id="three of four are answered from memory"),
        pytest.param(0.0, True, 0.1, 100, id="never more than ten times what is computed"),
        pytest.param(2.0, True, 2.0, 10, id="rows that are computed"),
        pytest.param(0.25, False, 1.0, 10, id="without a cache each request has a row"),
    ],
)
def test_a_response_cache(rows: float, cached: bool, inferences: float, backlog: float) -> None:
    samples = {"old": pod(20, rows=rows, waiting=(0, 0, 0, 10))}
    found = signals(samples, (OLD,), 1, NOW, INTERVAL, cached)
    assert found.inferences_per_request == pytest.approx(inferences)
    assert found.backlog == pytest.approx(backlog)


def test_the_load_of_each_pod_that_answered_all_the_time() -> None:
    samples = {
        "old": pod(20, waiting=(0, 0, 0, 9)),
        "other": pod(5),
        "new": pod(5, first=0),
        "coming": pod(5),
    }
    found = seen(samples, OLD, OTHER, NEW, COMING).loads
    assert ["old", "other"] == [load.pod for load in found]
    assert found[0].rate == pytest.approx(20 + 9 / 45)
    assert (45, 9) == (found[0].seconds, found[0].waiting)


@pytest.mark.parametrize(
    ("samples", "rows"),
    [
        pytest.param(pod(5, rows=4), 4.0, id="a few"),
        pytest.param(pod(200, rows=600), 600.0, id="more a second than any Triton has requests"),
        pytest.param(
            replace(pod(5, rows=4), inferences=((TIMES[0], 9e6), *line(4e3, 20)[1:])),
            4.0,
            id="as far as both are told",
        ),
    ],
)
def test_requests_with_several_rows_are_told_from_inferences(
    samples: PodSamples, rows: float
) -> None:
    assert rows == pytest.approx(seen({"old": samples}, OLD).inferences_per_request)


def test_the_backlog_is_what_waits_now_at_all_pods() -> None:
    queue = (0.0, 0.0, 5.0, 7.0)
    found = seen({"old": pod(20, waiting=queue), "other": pod(20, waiting=queue)}, OLD, OTHER)
    assert 14 == found.backlog


def test_latency_is_mixed_by_rate() -> None:
    slow = replace(pod(10), quantiles=((0.5, 1.0), (0.99, 2.0)))
    latency = seen({"old": pod(30), "other": slow}, OLD, OTHER).latency
    assert isinstance(latency, Mixture)
    assert pytest.approx(0.75 + 0.25 * 0.25, abs=1e-3) == latency.share_within(0.5)


def test_without_answers_there_is_no_latency() -> None:
    silent = replace(pod(20), quantiles=((0.5, math.nan), (0.99, math.nan)))
    assert isinstance(seen({"old": silent}, OLD).latency, NoData)


VALUES = st.floats(allow_nan=True, allow_infinity=True)
SAMPLES = st.lists(st.tuples(st.floats(NOW - 100, NOW), VALUES), max_size=6).map(
    lambda items: tuple(sorted(items, key=lambda item: item[0]))
)
PODS = st.builds(
    PodSamples,
    successes=SAMPLES,
    failures=SAMPLES,
    pending=SAMPLES,
    inferences=SAMPLES,
    quantiles=st.lists(st.tuples(VALUES, VALUES), max_size=4).map(tuple),
)


ONCE, NOTHING = ((NOW - 37, 0.0),), PodSamples()
TWICE_AT_ONCE = PodSamples(successes=ONCE * 2, failures=ONCE, pending=ONCE)
TOO_LARGE = PodSamples(successes=((NOW - 60, 0.0), *ONCE), failures=ONCE, pending=((NOW, 1e308),))
PART_OF_ONE = PodSamples(
    successes=((NOW - 60, 0.0), (NOW, 5e-324)),
    failures=ONCE,
    pending=ONCE,
    inferences=((NOW - 60, 0.0), (NOW, 1e18)),
)


@example(NOTHING, TWICE_AT_ONCE)
@example(TOO_LARGE, TOO_LARGE)
@example(NOTHING, PART_OF_ONE)
@given(PODS, PODS)
def test_garbage_never_becomes_a_number_that_is_none(first: PodSamples, second: PodSamples) -> None:
    found = seen({"old": first, "other": second}, OLD, OTHER)
    if isinstance(found.arrivals, Measured):
        assert math.isfinite(found.arrivals.value)
        assert found.arrivals.value > 0
    assert math.isfinite(found.backlog)
    assert math.isfinite(found.counted)
    assert 1 <= found.inferences_per_request < math.inf


def test_what_triton_asks_itself_when_it_starts_is_no_traffic() -> None:
    """65 of the requests of each pod came before any client; the old pod's rate is as it was."""
    started = without_warm_up(pod(0, first=65), 65)
    assert NoTraffic(NOW - 2) == seen({"new": started}, NEW).arrivals
    assert (0, 0) == (started.successes[0][1], started.inferences[0][1])
    assert Measured(20, NOW - 2) == seen({"old": without_warm_up(pod(20), 65)}, OLD).arrivals
    # A counter that was read before the warm-up has not fallen.
    early = without_warm_up(pod(0, first=3), 65)
    assert NoTraffic(NOW - 2) == seen({"new": early}, NEW).arrivals
