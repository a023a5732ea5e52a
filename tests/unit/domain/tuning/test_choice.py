"""The choice is nearly the best of all that could be chosen, and the smallest of such."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlagent.domain.artifact.interface import TauPoint
from dlagent.domain.scaling.capacity import attained_share, capacity
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.domain.tuning.choice import Choice, Wanted, choose
from dlagent.domain.tuning.table import Workers, service_time
from dlagent.domain.tuning.trials import Trial, TrialSpace, next_trial, trial_space

Tau = Callable[[int, Workers], float]
SHARED = {  # how much slower each of k instances is than one alone
    "one device that all share": lambda k: k,
    "a core for each": lambda k: 1.0,
    "half of the work is shared": lambda k: (1 + k) / 2,
}
RATIOS = (0.25, 2.0, 20.0)  # tau0 / alpha
PROMISES = (20, 100)  # ms, where a request alone takes 10
SPACE = trial_space(batched=True, cores=1, accelerated=True)
DELAYS = 3  # as many as the benchmark `tuner` tries


def line(ratio: float, slower: Callable[[int], float]) -> Tau:
    """A batch of one takes 10 ms."""
    alpha = 10 / (1 + ratio)
    return lambda batch, workers: (10 + alpha * (batch - 1)) * slower(workers.instances)


def point(tau: Tau, batch: int, workers: Workers) -> TauPoint:
    return TauPoint(
        batch=batch,
        milliseconds=tau(batch, workers),
        threads=workers.threads,
        instances=workers.instances,
    )


def exhaustive(tau: Tau, space: TrialSpace) -> list[TauPoint]:
    return [point(tau, batch, workers) for workers in space.workers for batch in space.batches]


def few(tau: Tau, space: TrialSpace, budget: int) -> list[TauPoint]:
    points: list[TauPoint] = []
    while isinstance(trial := next_trial(points, space, budget), Trial):
        points.append(point(tau, trial.batch, trial.workers))
    return points


def best_rate(points: Sequence[TauPoint], space: TrialSpace, wanted: Wanted) -> float:
    services = [
        service_time(points, workers, batch) for workers in space.workers for batch in space.batches
    ]
    rates = [capacity(s, wanted.threshold_seconds, wanted.objective) for s in services if s]
    return max(rates)


@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("ratio", RATIOS)
def test_few_trials_are_as_good_as_all(ratio: float, shared: str) -> None:
    """At least 95 % of the best rate, in at most 20 % of the trials, for every promise."""
    tau = line(ratio, SHARED[shared])
    everything = exhaustive(tau, SPACE)
    points = few(tau, SPACE, budget=int(0.2 * DELAYS * len(everything)))

    assert len(points) <= 0.2 * DELAYS * len(everything)
    for milliseconds in PROMISES:
        wanted = Wanted(milliseconds / 1000, 0.99, cores=None)
        choice = choose(tuple(points), wanted)
        chosen = service_time(everything, choice.workers, choice.max_batch)
        assert chosen is not None
        truly = capacity(chosen, wanted.threshold_seconds, wanted.objective)
        assert truly >= 0.95 * best_rate(everything, SPACE, wanted)


def test_the_smaller_of_nearly_equal_plans_is_taken() -> None:
    """Of a device that all instances share one gives as much as four."""
    points = exhaustive(line(20.0, SHARED["one device that all share"]), SPACE)
    choice = choose(tuple(points), Wanted(1.0, 0.99, cores=None))
    assert Workers(1) == choice.workers

    flat = [TauPoint(batch=batch, milliseconds=10 * batch) for batch in (1, 64)]
    assert 1 == choose(tuple(flat), Wanted(1.0, 0.5)).max_batch


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(
            Wanted(0.05, 0.99, max_batch=2), (2, Workers(4)), id="batches as they are settled"
        ),
        pytest.param(
            Wanted(0.05, 0.99, instances=2), (8, Workers(2)), id="instances as they are settled"
        ),
        pytest.param(
            Wanted(0.05, 0.99, instances=3), (8, Workers(3)), id="even if they were not measured"
        ),
        pytest.param(
            Wanted(0.012, 0.99, max_batch=64),
            (64, Workers(4)),
            id="even if a full batch is always late",
        ),
        pytest.param(Wanted(0.05, 0.99, cores=2), (8, Workers(2)), id="as the cores allow"),
        pytest.param(Wanted(0.05, 0.99, cores=0), (8, Workers(1)), id="one instance always"),
        pytest.param(Wanted(0.009, 0.99), (1, Workers(1)), id="nothing keeps it: the smallest"),
        pytest.param(
            Wanted(0.009, 0.99, max_batch=4, instances=2),
            (4, Workers(2)),
            id="nothing keeps it: what is settled stays",
        ),
    ],
)
def test_what_is_settled_is_kept(wanted: Wanted, expected: tuple[int, Workers]) -> None:
    points = exhaustive(line(2.0, SHARED["a core for each"]), SPACE)
    if wanted.cores == 1 and wanted.instances is None:
        wanted = replace(wanted, cores=None)
    choice = choose(tuple(points), wanted)
    assert expected == (choice.max_batch, choice.workers)
    assert (wanted.threshold_seconds > 0.01) == (choice.rate > 0)


def test_without_any_measurement_it_is_one_at_a_time() -> None:
    assert Choice(1, Workers(), 0.0) == choose((), Wanted(1.0, 0.99))


@settings(deadline=None, max_examples=10)  # the machine may be busy
@given(
    ratio=st.floats(0.05, 50),
    milliseconds=st.floats(5, 2000),
    objective=st.sampled_from([0.9, 0.99, 0.999]),
    delay_milliseconds=st.floats(0.1, 100),
)
def test_a_batch_delay_never_lets_a_replica_answer_more(
    ratio: float, milliseconds: float, objective: float, delay_milliseconds: float
) -> None:
    """Why none is ever chosen."""
    points = tuple(exhaustive(line(ratio, SHARED["a core for each"]), trial_space(True, 1)))
    plain = Wanted(milliseconds / 1000, objective)
    delayed = replace(plain, delay_seconds=delay_milliseconds / 1000)
    # 2 % for the choice between near equals.
    assert choose(points, delayed).rate <= 1.02 * choose(points, plain).rate


@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
def test_several_instances_are_as_many_queues(load: float) -> None:
    one = ServiceTime(0.004, 0.002, 8)
    three = replace(one, instances=3)
    rate = load * one.saturation
    assert 3 * one.saturation == three.saturation
    assert attained_share(one, rate, 0.03) == attained_share(three, 3 * rate, 0.03)
    assert 3 * capacity(one, 0.03, 0.99) == pytest.approx(capacity(three, 0.03, 0.99))
