"""How many requests of each tick are missed by how many pods: what an oracle decides on.

Short stretches of the replay are simulated with the replay's own pods, queues and requests, from
empty pods a little before. `dlagent.replay.oracle` makes the table.
"""

from dataclasses import dataclass

import numpy as np

from dlagent.replay import kernel
from dlagent.replay.engine import Requests, World
from dlagent.replay.fleet import Fleet, books
from dlagent.replay.kernel import Floats, Ints
from dlagent.replay.planned import TICK_SECONDS
from dlagent.replay.routing import Routing

MOST_WORK = 4e7  # requests to simulate for a table: some 20 s of a core
_HOPELESS_LOAD = 1.5  # times saturation: a tick of it is missed as a whole
_LEAST_LOAD, _LOAD_STEP = 0.1, 0.02
_COLUMNS_PER_POD = 0.7  # numbers to try of each, between hopeless and nothing missed
_FEWEST_SAMPLES = 20


@dataclass(frozen=True)
class Stretches:
    """Simulates stretches of a replay. `first_request` has the number of each tick's first one."""

    world: World
    requests: Requests
    first_request: Ints

    @property
    def ticks(self) -> int:
        """Of the replay, without the warm-up."""
        return len(self.first_request) - 1

    @property
    def counts(self) -> Ints:
        """The requests of each tick."""
        return np.diff(self.first_request)

    @property
    def pod_requests(self) -> float:
        """What a pod answers in a tick at saturation."""
        return self.world.service.saturation * TICK_SECONDS

    def missed_with(self, tick: int, before: int, pods: int) -> int:
        """Requests of a tick missed by so many pods, which came empty `before` ticks earlier."""
        first = max(0, tick - before)
        return int(self.missed(first, np.full(tick + 1 - first, pods, np.int64))[-1])

    def missed(self, first_tick: int, ready: Ints) -> Ints:
        """Requests missed in each tick from one on, given the pods in each, at first empty.

        What waits in the end is answered by the pods that are there.
        """
        many = len(ready)
        account = books(self.world.manifest.threshold_seconds, many * TICK_SECONDS)
        fleet = Fleet(self.world.service, self.world.variation, self._routing, account)
        begins = first_tick * TICK_SECONDS
        edges = self.first_request[[first_tick, first_tick + many]]
        times = self.requests.times[edges[0] : edges[1]] - begins
        chances = self.requests.chances[edges[0] : edges[1]]
        number = 0
        for tick, pods in enumerate(ready.tolist()):
            now = tick * TICK_SECONDS
            if pods != len(fleet.pods):
                for _ in range(pods - len(fleet.pods)):
                    fleet.create(now, now)
                if pods < len(fleet.pods):
                    fleet.remove(len(fleet.pods) - pods, now)
                fleet.refresh(now)
            number = fleet.send(times, chances, number, now + TICK_SECONDS)
        fleet.finish(many * TICK_SECONDS, np.inf)
        return account.requests - account.good

    @property
    def _routing(self) -> Routing:
        """Connections stick for longer than a stretch; here their requests go anywhere."""
        kind = self.world.routing.kind
        return Routing(kernel.RANDOM if kind == kernel.CONNECTIONS else kind)


def stretches(world: World, requests: Requests) -> Stretches:
    """Those of a replay."""
    ticks = int(np.ceil(requests.duration_seconds / TICK_SECONDS - 1e-9))
    first = np.searchsorted(requests.times, TICK_SECONDS * np.arange(ticks + 1))
    return Stretches(world, requests, first.astype(np.int64))


def miss_table(of: Stretches, before: int) -> Floats:
    """Requests missed by tick and number of pods, from `min_replicas` on.

    Each entry is the last tick of a stretch with that many pods all the time, which begins `before`
    ticks earlier. There are columns up to the number that misses nothing anywhere, or
    `max_replicas`. Where that is too much to simulate, ticks are judged by their load alone.
    """
    if table_work(of, before) > MOST_WORK:
        return _table_by_load(of, before)
    manifest, counts = of.world.manifest, of.counts
    columns: list[dict[int, int]] = []
    for tick, count in enumerate(counts.tolist()):
        found: dict[int, int] = {}
        hopeless = int(count / (_HOPELESS_LOAD * of.pod_requests))
        first = min(max(manifest.min_replicas, hopeless + 1), manifest.max_replicas)
        for pods in range(first, manifest.max_replicas + 1):
            found[pods] = of.missed_with(tick, before, pods)
            if not found[pods]:
                break
        columns.append(found)
    most = max(max(found) for found in columns)
    table = np.zeros((of.ticks, most + 1 - manifest.min_replicas))
    for tick, found in enumerate(columns):
        table[tick, : min(found) - manifest.min_replicas] = counts[tick]
        for pods, missed in found.items():
            table[tick, pods - manifest.min_replicas] = missed
    return table


def table_work(of: Stretches, before: int) -> float:
    """About how many requests a whole table would be simulated with."""
    counts = of.counts.astype(np.float64)
    columns = 3 + _COLUMNS_PER_POD * counts / of.pod_requests
    return float((counts * columns).sum()) * (before + 1)


def _table_by_load(of: Stretches, before: int) -> Floats:
    """From some ticks: the share missed at each load of a pod, taken for all ticks."""
    manifest, counts = of.world.manifest, of.counts
    loads, shares = _missed_by_load(of, before)
    least = int(counts.max() / (loads[0] * of.pod_requests)) + 1
    most = min(max(least, manifest.min_replicas), manifest.max_replicas)
    pods = np.arange(manifest.min_replicas, most + 1)
    load = counts[:, None] / (pods[None, :] * of.pod_requests)
    table: Floats = np.interp(load, loads, shares, left=0.0, right=1.0) * counts[:, None]
    return table


def _missed_by_load(of: Stretches, before: int) -> tuple[Floats, Floats]:
    """Loads, as shares of saturation, and the mean share of requests missed at each.

    The least load misses nothing and the greatest all, where no tick has seen them: bounds on the
    replicas may leave no load in between.
    """
    busiest = np.argsort(of.counts)[::-1]
    busiest = busiest[of.counts[busiest] > 0]
    loads = np.arange(_LEAST_LOAD, _HOPELESS_LOAD, _LOAD_STEP)
    requests = float(of.counts.mean()) * (before + 1) * len(loads)
    samples = int(np.clip(MOST_WORK / requests, _FEWEST_SAMPLES, len(busiest)))
    ticks = busiest[np.linspace(0, len(busiest) - 1, samples).astype(np.int64)]
    missed, seen = np.zeros(len(loads)), np.zeros(len(loads))
    manifest = of.world.manifest
    for tick in ticks.tolist():
        count = int(of.counts[tick])
        wanted = np.round(count / (loads * of.pod_requests)).astype(np.int64)
        for pods in np.unique(np.clip(wanted, manifest.min_replicas, manifest.max_replicas)):
            load = count / (pods * of.pod_requests)
            place = round((load - _LEAST_LOAD) / _LOAD_STEP)
            if 0 <= place < len(loads):
                missed[place] += of.missed_with(tick, before, int(pods))
                seen[place] += count
    if not seen[-1]:
        missed[-1] = seen[-1] = 1
    if not seen[0]:
        seen[0] = 1
    known = seen > 0
    shares = np.maximum.accumulate(missed[known] / seen[known])
    return loads[known], shares
