"""The simulated pods against what queueing theory says of them.

Each figure is the mean of independent runs with fixed seeds, and may differ from theory by four
standard errors of that mean, which the runs themselves tell. They must be small for it to mean
something. Latencies are counted in classes of a 64th of a factor e, which is the other tolerance.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from dlagent.domain.scaling.capacity import attained_share, latency_quantile
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.replay import kernel
from dlagent.replay.kernel import Floats
from dlagent.replay.scraped import quantiles
from tests.unit.replay.worlds import SIMULATED, Answers, steady

RUNS = 16
ERRORS = 4.0  # standard errors; 16 runs exceed it once in a thousand
CLASS = 1 / (kernel.CLASSES_PER_E * kernel.FINE_IN_CLASS)
SHARES = (0.5, 0.95, 0.99)


def runs(one: Callable[[int], Answers]) -> list[Answers]:
    return [one(seed) for seed in range(RUNS)]


def assert_is(expected: float, found: Sequence[float], precise: float, other: float = 0.0) -> None:
    """`precise` is the largest standard error, and `other` an error beside it, both relative."""
    error = float(np.std(found, ddof=1)) / math.sqrt(len(found))
    assert error <= precise * expected
    assert abs(float(np.mean(found)) - expected) <= ERRORS * error + other * expected


def mean(answers: Answers) -> float:
    """As if all of a class had its middle."""
    ends = kernel.FIRST_EDGE_SECONDS * np.exp(np.arange(kernel.FINE_CLASSES) * CLASS)
    middles: Floats = ends * (1 + math.exp(-CLASS)) / 2
    return float(answers.latencies @ middles / answers.latencies.sum())


def quantile(answers: Answers, share: float) -> float:
    return float(quantiles(answers.latencies.astype(np.int64), np.array([share]))[0])


def erlang_c(servers: int, offered: float) -> float:
    """The chance to wait in M/M/c (Erlang 1917), offered load in Erlangs."""
    terms = [offered**k / math.factorial(k) for k in range(servers)]
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (sum(terms) + last)


@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
@pytest.mark.parametrize("servers", [1, 3])
def test_instances_with_random_times_and_no_batches_are_erlangs_queue(
    servers: int, load: float
) -> None:
    """M/M/c: the mean, and the share of those who are gone within twice the service time."""
    service = ServiceTime(0.1, 0.0, 1, instances=servers)
    speed, rate = 10.0, 10.0 * load * servers
    spare = servers * speed - rate
    waits = erlang_c(servers, load * servers)
    threshold = 2 / speed
    alone, behind = math.exp(-speed * threshold), math.exp(-spare * threshold)
    late = (1 - waits) * alone + waits * (
        # W + S with rates `spare` and `speed`; where they are the same it is a gamma variable
        (spare * alone - speed * behind) / (spare - speed)
        if not math.isclose(spare, speed)
        else alone * (1 + speed * threshold)
    )

    found = runs(
        lambda seed: steady(service, rate, 8_000 / load, seed, threshold=threshold, variation=1.0)
    )

    assert_is(waits / spare + 1 / speed, [mean(each) for each in found], 0.03, CLASS**2)
    assert_is(1 - late, [each.share for each in found], 0.03)


@pytest.mark.parametrize("load", [0.2, 0.6, 0.9])
def test_one_request_at_a_time_in_a_fixed_time_is_the_known_queue(load: float) -> None:
    """M/D/1: the mean wait of Pollaczek and Khinchine, and the share within a threshold."""
    service, threshold = ServiceTime(0.03, 0.02, 1), 0.12
    seconds, rate = service.seconds(1), load / service.seconds(1)

    found = runs(lambda seed: steady(service, rate, 20_000.0, seed, threshold=threshold))

    expected = seconds + load * seconds / (2 * (1 - load))
    assert_is(expected, [mean(each) for each in found], 0.01, CLASS / 2)
    assert_is(attained_share(service, rate, threshold), [each.share for each in found], 0.01)


@pytest.mark.parametrize("load", [0.1, 0.5, 0.8, 0.9])
def test_batches_are_those_of_the_queue_that_capacity_is_worked_out_from(load: float) -> None:
    rate = load * SIMULATED.saturation
    threshold = latency_quantile(SIMULATED, rate, 0.9)

    found = runs(lambda seed: steady(SIMULATED, rate, 10_000.0, seed, threshold=threshold))

    expected = attained_share(SIMULATED, rate, threshold)
    assert_is(expected, [each.share for each in found], 0.005)
    for share in SHARES:
        known = latency_quantile(SIMULATED, rate, share)
        assert_is(known, [quantile(each, share) for each in found], 0.015, CLASS)


def test_requests_that_are_spread_at_random_make_as_many_queues_of_their_own() -> None:
    """A Poisson process, divided at random, is several."""
    rate = 0.8 * SIMULATED.saturation

    found = runs(lambda seed: steady(SIMULATED, 5 * rate, 2_000.0, seed, pods=5))

    assert_is(attained_share(SIMULATED, rate, 0.5), [each.share for each in found], 0.005)
    known = latency_quantile(SIMULATED, rate, 0.99)
    assert_is(known, [quantile(each, 0.99) for each in found], 0.015, CLASS)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("pods", [2, 7])
def test_the_better_of_two_is_never_worse_than_any(pods: int, load: float) -> None:
    rate = load * pods * SIMULATED.saturation
    for seed in range(5):
        random, better = (
            steady(SIMULATED, rate, 1_000.0, seed, pods=pods, routing=routing)
            for routing in ("random", "p2c")
        )
        assert better.share >= random.share
        assert mean(better) < mean(random)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(0.0, 0, id="none"),
        pytest.param(1e-5, 0, id="the end of the first"),
        pytest.param(1e-5 * math.exp(1 / 64), 1, id="the end of the second"),
        pytest.param(1e-5 * math.exp(1.001 / 64), 2, id="just beyond it"),
        pytest.param(1e-5 * math.e, 64, id="a factor e"),
        pytest.param(1e9, kernel.FINE_CLASSES - 1, id="what is too long is in the last"),
    ],
)
def test_the_class_of_a_latency(seconds: float, expected: int) -> None:
    assert expected == kernel.fine_class(seconds)


@pytest.mark.parametrize("variation", [0.3, 1.0])
def test_times_vary_as_they_should(variation: float) -> None:
    """Lone requests: mean and coefficient of variation of their times are those of the service."""
    found = steady(
        ServiceTime(0.1, 0.0, 1), 0.01, 2_000_000.0, 1, threshold=0.1, variation=variation
    )
    middles = kernel.FIRST_EDGE_SECONDS * np.exp((np.arange(kernel.FINE_CLASSES) - 0.5) * CLASS)
    average = float(found.latencies @ middles / found.requests)
    squares = float(found.latencies @ (middles - average) ** 2 / found.requests)
    error = ERRORS * variation / math.sqrt(found.requests)
    assert average == pytest.approx(0.1, rel=error + CLASS**2)
    assert math.sqrt(squares) / average == pytest.approx(variation, rel=0.05)
