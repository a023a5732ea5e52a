"""What is learned of batch times from a pod's counters: simulated pods, and garbage."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.batch_counts import BatchCounts, Worked
from dlagent.domain.scaling.learning import Learned, learn, service_of
from dlagent.domain.scaling.service_time import ServiceTime

TRUE = ServiceTime(0.040, 0.020, max_batch=8)
# Batches a minute of ordinary traffic: 16 requests/s on one replica, half of what it can do.
ORDINARY = {1: 150, 2: 120, 3: 80, 4: 40, 5: 20, 6: 5}
VARIATION = 0.3


class Pod:
    """Counts batches as Triton does; `minute` lets it work and is a look at it."""

    def __init__(self, name: str, times: Callable[[int], float], seed: int = 1) -> None:
        self.name = name
        self._times = times
        self._random = random.Random(seed)
        self._at = 0.0
        self._sizes: dict[int, Worked] = {}

    def look(self) -> BatchCounts:
        return BatchCounts(self.name, self._at, {"shoes": dict(self._sizes)})

    def minute(self, batches: dict[int, int]) -> BatchCounts:
        self._at += 60
        for size, count in batches.items():
            known = self._sizes.get(size, Worked(0, 0.0))
            noise = self._random.gauss(1, VARIATION / math.sqrt(count))
            seconds = count * self._times(size) * noise
            self._sizes[size] = Worked(known.batches + count, known.seconds + seconds)
        return self.look()


def learned(
    prior: ServiceTime, looks: Sequence[BatchCounts], state: Learned | None = None
) -> Learned:
    state = state or Learned()
    for counts in looks:
        state = learn(state, prior, counts, "shoes")
    return state


def error(found: ServiceTime, true: ServiceTime = TRUE) -> float:
    """The largest relative error at any batch size."""
    sizes = range(1, true.max_batch + 1)
    return max(abs(found.seconds(size) / true.seconds(size) - 1) for size in sizes)


def scaled(service: ServiceTime, factor: float) -> ServiceTime:
    return replace(
        service,
        base_seconds=factor * service.base_seconds,
        per_item_seconds=factor * service.per_item_seconds,
    )


def test_without_a_look_the_prior_stands() -> None:
    assert service_of(Learned(), TRUE) == TRUE


@pytest.mark.parametrize("factor", [0.1, 0.5, 2.0, 10.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_mistaken_prior_is_forgotten_within_five_looks(factor: float, seed: int) -> None:
    pod = Pod("a", TRUE.seconds, seed)
    prior = scaled(TRUE, factor)
    state = learned(prior, [pod.look(), *(pod.minute(ORDINARY) for _ in range(5))])
    assert error(service_of(state, prior)) < 0.12


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_one_minute_of_ordinary_traffic_takes_nine_tenths_of_a_mistake_away(factor: float) -> None:
    pod = Pod("a", TRUE.seconds)
    prior = scaled(TRUE, factor)
    state = learned(prior, [pod.look(), pod.minute(ORDINARY)])
    assert abs(service_of(state, prior).seconds(2) / TRUE.seconds(2) - 1) < 0.15


@pytest.mark.parametrize(
    "prior",
    [ServiceTime(0.0, 0.060, 8), ServiceTime(0.1, 0.0, 8), ServiceTime(0.020, 0.040, 8)],
    ids=["in proportion to the batch", "the same for all", "the parts are the wrong way round"],
)
def test_a_prior_of_another_shape_is_forgotten(prior: ServiceTime) -> None:
    pod = Pod("a", TRUE.seconds)
    state = learned(prior, [pod.look(), *(pod.minute(ORDINARY) for _ in range(30))])
    assert error(service_of(state, prior)) < 0.12


def test_a_true_prior_stays_as_it_is() -> None:
    pod = Pod("a", TRUE.seconds)
    state = Learned()
    for _ in range(200):
        state = learn(state, TRUE, pod.minute(ORDINARY), "shoes")
        assert error(service_of(state, TRUE)) < 0.12


def test_times_that_change_are_followed_within_ten_minutes() -> None:
    pod = Pod("a", TRUE.seconds)
    state = learned(TRUE, [pod.minute(ORDINARY) for _ in range(60)])
    pod._times = scaled(TRUE, 1.5).seconds
    state = learned(TRUE, [pod.minute(ORDINARY) for _ in range(10)], state)
    assert error(service_of(state, TRUE), scaled(TRUE, 1.5)) < 0.12


def test_a_restarted_operator_learns_from_the_first_look() -> None:
    pod = Pod("a", TRUE.seconds)
    for _ in range(9):
        pod.minute(ORDINARY)
    prior = scaled(TRUE, 2.0)
    assert error(service_of(learned(prior, [pod.look()]), prior)) < 0.2


@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("factor", [0.5, 2.0, 20.0])
def test_a_single_batch_size_scales_the_line_of_the_prior(size: int, factor: float) -> None:
    pod = Pod("a", scaled(TRUE, factor).seconds)
    state = learned(TRUE, [pod.look(), *(pod.minute({size: 100}) for _ in range(60))])
    found = service_of(state, TRUE)
    assert error(found, scaled(TRUE, factor)) < 0.1
    assert found.base_seconds / found.per_item_seconds == pytest.approx(2.0, rel=0.05)


def test_a_model_without_batches_has_one_time() -> None:
    true = ServiceTime(0.05, 0.0, max_batch=1)
    prior = scaled(true, 2.0)
    pod = Pod("a", true.seconds)
    state = learned(prior, [pod.look(), *(pod.minute({1: 100}) for _ in range(9))])
    assert error(service_of(state, prior), true) < 0.1


def test_ordinary_noise_seldom_changes_what_is_told() -> None:
    pod = Pod("a", TRUE.seconds)
    state = learned(TRUE, [pod.minute(ORDINARY) for _ in range(10)])
    changes = 0
    for _ in range(100):
        before = state.told
        state = learn(state, TRUE, pod.minute(ORDINARY), "shoes")
        changes += before != state.told
    assert changes <= 10


def rounds(pods: Sequence[Pod], count: int) -> list[BatchCounts]:
    """Two looks at each pod, a minute apart, by turns."""
    return [
        look for _ in range(count) for pod in pods for look in (pod.look(), pod.minute(ORDINARY))
    ]


GARBAGE: list[Callable[[int], float]] = [
    lambda _: 1e9,
    lambda _: 1e-9,
    lambda _: math.nan,
    lambda size: 10 * TRUE.seconds(size),
    lambda size: TRUE.seconds(size) / 10,
]


@pytest.mark.parametrize("times", GARBAGE, ids=["huge", "tiny", "NaN", "ten times", "a tenth"])
def test_one_pod_of_garbage_does_not_move_the_whole(times: Callable[[int], float]) -> None:
    pods = [Pod("a", TRUE.seconds, 1), Pod("b", times, 2), Pod("c", TRUE.seconds, 3)]
    state = Learned()
    for counts in rounds(pods, 20):
        state = learn(state, TRUE, counts, "shoes", several=True)
        assert error(service_of(state, TRUE)) < 0.12


def test_after_a_restart_it_takes_another_pod_to_confirm_what_surprises() -> None:
    slow, other = Pod("a", scaled(TRUE, 5).seconds, 1), Pod("b", TRUE.seconds, 2)
    for pod in (slow, other):
        for _ in range(9):
            pod.minute(ORDINARY)
    state = Learned()
    for counts in rounds([slow, other], 5):
        state = learn(state, TRUE, counts, "shoes", several=True)
        assert error(service_of(state, TRUE)) < 0.12


def test_what_two_pods_say_is_believed() -> None:
    pods = [Pod("a", scaled(TRUE, 5).seconds, 1), Pod("b", scaled(TRUE, 5).seconds, 2)]
    state = Learned()
    for counts in rounds(pods, 2):
        state = learn(state, TRUE, counts, "shoes", several=True)
    assert error(service_of(state, TRUE), scaled(TRUE, 5)) < 0.2


def test_one_look_that_surprises_changes_nothing() -> None:
    pod = Pod("a", TRUE.seconds)
    state = learned(TRUE, [pod.minute(ORDINARY) for _ in range(9)])
    pod._times = scaled(TRUE, 10).seconds
    after = learned(TRUE, [pod.minute(ORDINARY)], state)
    assert service_of(after, TRUE) == service_of(state, TRUE)
    pod._times = TRUE.seconds
    later = learned(TRUE, [pod.minute(ORDINARY)], after)
    assert later.doubted is None


@pytest.mark.parametrize(
    ("what", "busy_seconds", "factor", "expected"),
    [
        ("a light load tells that a batch is quick, not how slow it is under load", 0.0, 0.6, 1.0),
        ("quicker than contention could explain is quicker", 0.0, 0.4, 0.8),
        ("slower under a light load is slower still under a full one", 0.0, 1.4, 1.4),
        ("while all work, what is measured is what is meant", 120.0, 0.6, 0.6),
    ],
)
def test_several_instances(what: str, busy_seconds: float, factor: float, expected: float) -> None:
    prior = replace(TRUE, instances=2)
    mean = factor * prior.seconds(4)
    batches = busy_seconds / mean if busy_seconds else 100.0
    state = Learned()
    for minute in range(60):
        at = minute * (60.0 if busy_seconds else 1e6)
        counts = {4: Worked(minute * batches, minute * batches * mean)}
        state = learn(state, prior, BatchCounts("a", at, {"shoes": counts}), "shoes")
    assert service_of(state, prior).seconds(4) == pytest.approx(
        expected * prior.seconds(4), rel=0.05
    ), what


anything = st.floats() | st.sampled_from([0.0, -1.0, 1e-300, 1e300, math.inf, math.nan])
sizes = st.dictionaries(st.integers(-3, 2000), st.builds(Worked, anything, anything), max_size=6)
looks = st.builds(
    lambda pod, at, its: BatchCounts(pod, at, {"shoes": its}),
    st.sampled_from(["a", "b"]),
    st.floats(allow_nan=False, allow_infinity=False),
    sizes,
)
priors = st.builds(
    ServiceTime,
    st.sampled_from([0.0, 1e-6, 0.04, 30.0]),
    st.sampled_from([1e-6, 0.02, 3.0]),
    st.sampled_from([1, 2, 8, 128]),
    instances=st.sampled_from([1, 2, 4]),
)


@given(priors, st.lists(looks, max_size=12))
def test_whatever_is_counted_the_service_is_one_that_a_replica_can_have(
    prior: ServiceTime, found: list[BatchCounts]
) -> None:
    service = service_of(learned(prior, found), prior)  # a ServiceTime refuses what cannot be
    assert service.max_batch == prior.max_batch
    for size in (1, prior.max_batch):
        assert 1e-4 < service.seconds(size) / prior.seconds(size) < 1e4
