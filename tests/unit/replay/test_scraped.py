"""What Prometheus has of simulated pods, scraped each 15 s, in cases worked out by hand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from dlagent.domain.scaling.samples import PodSamples
from dlagent.replay.faults import FaultKind
from dlagent.replay.fleet import Fleet
from dlagent.replay.policy import Seen
from dlagent.replay.scraped import Scraped
from tests.unit.replay.worlds import fleet

INTERVAL = 15.0
EACH_SECOND = np.arange(0.5, 600.0, 1.0)  # lone requests: each takes 60 ms, none waits


@dataclass
class Scene:
    """Pods under requests, and their scrapes; `chances` send all to the first pod."""

    times: Sequence[float] = ()
    pods: int = 1
    some: Fleet = field(init=False)
    scraped: Scraped = field(init=False)
    number: int = 0

    def __post_init__(self) -> None:
        self.some = fleet(pods=self.pods)
        self.scraped = Scraped(INTERVAL)
        for pod in self.some.pods:
            self.scraped.forget(pod.slot, self.some.slots)

    def scrape(self, *moments: float, fault: FaultKind | None = None) -> None:
        times = np.array(self.times, dtype=float)
        for at in moments:
            self.number = self.some.send(times, np.zeros(len(times)), self.number, at)
            slots = [pod.slot for pod in self.some.pods]
            self.scraped.add(slots, at, self.some.read(slots, at), fault)

    def seen(self, now: float) -> Seen:
        return self.scraped.seen(self.some.pods, now, replicas=len(self.some.pods))

    def samples(self, now: float, pod: str = "pod-0") -> PodSamples:
        return self.seen(now).samples()[pod]


def each(interval: float, first: float, last: float) -> list[float]:
    return np.arange(first, last + 1e-6, interval).tolist()


def steady(until: float) -> Scene:
    """One request a second, scraped to a time."""
    scene = Scene(EACH_SECOND.tolist())
    scene.scrape(*each(INTERVAL, 15.0, until))
    return scene


def test_a_steady_load_is_seen_as_it_is() -> None:
    seen = steady(90.0).seen(100.0)

    assert [1.0] == pytest.approx(seen.requests_per_second.tolist())
    assert [0.06] == pytest.approx(seen.busy_share.tolist())
    assert [0.0] == seen.concurrency.tolist()
    assert 0.06 == pytest.approx(seen.p99_seconds, rel=1 / 16)


def test_what_waits_and_what_runs_is_the_concurrency_and_only_the_first_is_pending() -> None:
    scene = Scene([15.0, 15.01, 15.02])
    scene.scrape(15.03)

    assert [3.0] == scene.seen(15.03).concurrency.tolist()
    assert ((15.03, 2.0),) == scene.samples(15.03).pending
    assert ((15.03, 0.0),) == scene.samples(15.03).successes


def test_success_is_counted_at_completion_and_never_falls() -> None:
    scene = Scene([14.95, 14.96, 29.0])
    scene.scrape(15.0, 30.0, 45.0)

    samples = scene.samples(45.0)

    assert ((15.0, 0.0), (30.0, 3.0), (45.0, 3.0)) == samples.successes
    assert samples.inferences == samples.successes
    assert ((15.0, 0.0), (30.0, 0.0), (45.0, 0.0)) == samples.failures
    assert ((15.0, 1.0), (30.0, 0.0), (45.0, 0.0)) == samples.pending


def test_samples_are_those_of_four_intervals() -> None:
    found = steady(150.0).samples(151.0)
    assert [105.0, 120.0, 135.0, 150.0] == [at for at, _ in found.successes]


def test_a_rate_is_of_the_last_minute() -> None:
    """Sixty requests in the first minute and none in the second."""
    scene = Scene(EACH_SECOND[:60].tolist())
    scene.scrape(*each(INTERVAL, 15.0, 120.0))

    assert [0.0] == scene.seen(120.0).requests_per_second.tolist()
    assert math.isnan(scene.seen(120.0).p99_seconds)


def test_rates_of_slow_scrapes_are_of_two_intervals() -> None:
    scene = Scene(EACH_SECOND.tolist())
    scene.scraped = Scraped(60.0)
    scene.scraped.forget(scene.some.pods[0].slot, scene.some.slots)
    scene.scrape(60.0, 120.0)

    assert [1.0] == pytest.approx(scene.seen(125.0).requests_per_second.tolist())
    assert math.isnan(scene.seen(181.0).requests_per_second[0])


def test_one_scrape_tells_no_rate() -> None:
    seen = steady(15.0).seen(20.0)

    assert np.isnan(seen.requests_per_second).all()
    assert np.isnan(seen.busy_share).all()
    assert math.isnan(seen.p99_seconds)
    assert [0.0] == seen.concurrency.tolist()


def test_a_pod_without_a_scrape_is_nan_beside_the_others() -> None:
    scene = steady(45.0)
    scene.some.create(45.0, ready_at=105.0)
    scene.scraped.forget(scene.some.pods[1].slot, scene.some.slots)

    seen = scene.seen(50.0)

    assert [1.0, math.nan] == pytest.approx(seen.requests_per_second.tolist(), nan_ok=True)
    assert [0.0, math.nan] == pytest.approx(seen.concurrency.tolist(), nan_ok=True)
    assert 0.06 == pytest.approx(seen.p99_seconds, rel=1 / 16)
    assert {"pod-0"} == set(seen.samples())
    assert [True, False] == seen.ready.tolist()
    assert [50.0, math.nan] == pytest.approx(seen.since_ready_seconds.tolist(), nan_ok=True)
    assert [50.0, 5.0] == seen.since_created_seconds.tolist()
    assert ("pod-0", "pod-1") == seen.pods


def test_a_pod_in_the_place_of_another_begins_anew() -> None:
    scene = steady(90.0)
    scene.some.remove(1, 90.0)
    new = scene.some.create(90.0, ready_at=90.0)
    scene.some.refresh(90.0)
    scene.scraped.forget(new.slot, scene.some.slots)
    assert {} == scene.seen(91.0).samples()
    assert np.isnan(scene.seen(91.0).concurrency).all()

    scene.scrape(105.0, 120.0)

    assert ((105.0, 15.0), (120.0, 30.0)) == scene.samples(120.0, "pod-1").successes


def test_nan_is_scraped_as_nan_and_spoils_the_rates_it_is_in() -> None:
    scene = steady(60.0)
    scene.scrape(75.0, fault=FaultKind.NAN)

    seen, samples = scene.seen(76.0), scene.samples(76.0)
    assert np.isnan([*seen.requests_per_second, *seen.busy_share, *seen.concurrency]).all()
    assert math.isnan(seen.p99_seconds)
    assert [False] * 3 + [True] == [math.isnan(value) for _, value in samples.successes]
    assert math.isnan(samples.pending[-1][1])
    assert () == samples.quantiles

    scene.scrape(*each(INTERVAL, 90.0, 150.0))  # it has left the window by then
    assert [1.0] == pytest.approx(scene.seen(150.0).requests_per_second.tolist())
    assert scene.samples(150.0).quantiles


def test_in_a_gap_what_is_known_grows_old_and_is_gone() -> None:
    scene = steady(60.0)
    scene.scrape(75.0, 90.0, fault=FaultKind.GAP)
    assert [1.0] == pytest.approx(scene.seen(90.0).requests_per_second.tolist())
    assert (60.0, 60.0) == scene.samples(90.0).successes[-1]

    scene.scrape(105.0, fault=FaultKind.GAP)
    assert np.isnan(scene.seen(110.0).requests_per_second).all()
    assert [0.0] == scene.seen(110.0).concurrency.tolist()

    scene.scrape(120.0, fault=FaultKind.GAP)
    assert {} == scene.seen(121.0).samples()
    assert np.isnan(scene.seen(121.0).concurrency).all()


def test_after_a_gap_the_counter_has_gone_on() -> None:
    scene = steady(60.0)
    scene.scrape(*each(INTERVAL, 75.0, 180.0), fault=FaultKind.GAP)
    scene.scrape(195.0, 210.0)

    assert ((195.0, 195.0), (210.0, 210.0)) == scene.samples(210.0).successes
    assert [1.0] == pytest.approx(scene.seen(210.0).requests_per_second.tolist())


@pytest.mark.parametrize(
    ("now", "told"),
    [
        pytest.param(97.5, True, id="two and a half intervals after its scrape"),
        pytest.param(97.6, False, id="it is stale after that"),
    ],
)
def test_quantiles_are_told_while_their_scrape_is_fresh(now: float, told: bool) -> None:
    assert told == bool(steady(60.0).samples(now).quantiles)


def test_quantiles_are_those_of_the_pods_last_minute() -> None:
    """Requests of 60 ms at first; from 120 s on eight at once, of which seven take 240 ms."""
    eight = [at for second in range(120, 300, 5) for at in [float(second)] * 8]
    scene = Scene([*EACH_SECOND[:120].tolist(), *eight])
    scene.scrape(*each(INTERVAL, 15.0, 120.0))
    assert 0.06 == pytest.approx(dict(scene.samples(120.0).quantiles)[0.999], rel=1 / 16)

    scene.scrape(*each(INTERVAL, 135.0, 180.0))

    found = dict(scene.samples(180.0).quantiles)
    assert [0.5, 0.9, 0.95, 0.99, 0.999] == list(found)
    assert 0.24 == pytest.approx(found[0.5], rel=1 / 16)  # one in 60 ms, and seven after it
    scene.scrape(*each(INTERVAL, 195.0, 390.0))
    assert () == scene.samples(390.0).quantiles  # nothing was answered for a minute


def test_quantiles_after_a_gap_are_of_the_last_minute_as_well() -> None:
    """The pod answered slowly for a minute, then nobody looked for three, and it was quick."""
    slow = [at for second in range(0, 60, 5) for at in [float(second)] * 8]
    scene = Scene([*slow, *EACH_SECOND[60:].tolist()])
    scene.scrape(*each(INTERVAL, 15.0, 60.0))
    scene.scrape(*each(INTERVAL, 75.0, 240.0), fault=FaultKind.GAP)
    scene.scrape(255.0)

    found = dict(scene.samples(255.0).quantiles)

    assert 0.06 == pytest.approx(found[0.999], rel=1 / 16)


def test_the_p99_is_of_all_pods_together() -> None:
    """Each second four at the first pod, three of which wait for one, and one at the other."""
    scene = Scene(pods=2)
    times = np.repeat(np.arange(0.5, 90.0), 5)
    chances = np.where(np.arange(len(times)) % 5, 0.0, 0.9)
    for at in each(INTERVAL, 15.0, 90.0):
        scene.number = scene.some.send(times, chances, scene.number, at)
        slots = [pod.slot for pod in scene.some.pods]
        scene.scraped.add(slots, at, scene.some.read(slots, at))

    seen = scene.seen(90.0)

    assert [4.0, 1.0] == pytest.approx(seen.requests_per_second.tolist())
    assert 0.06 + 0.1 == pytest.approx(seen.p99_seconds, rel=1 / 16)


def test_more_slots_keep_what_is_known() -> None:
    scene = steady(60.0)
    before = scene.samples(61.0)
    for _ in range(40):
        pod = scene.some.create(60.0, ready_at=120.0)
        scene.scraped.forget(pod.slot, scene.some.slots)

    assert before == scene.samples(61.0)
    assert [1.0] == pytest.approx(scene.seen(61.0).requests_per_second[:1].tolist())
    assert np.isnan(scene.seen(61.0).requests_per_second[1:]).all()
