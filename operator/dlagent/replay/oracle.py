"""The oracle: the cheapest plan known in hindsight that keeps the objective and spends its budget.

The plan is that of dynamic programming on a table of misses (dlagent.replay.cheapest, .misses), and
is verified in the engine: the table does not know what waits from earlier ticks, so what it is
allowed to miss is corrected by what the engine saw. What other policies did on the same requests is
known in hindsight too, so that none of them can keep the objective for less.

`dlagent.replay.compare` asks it once all policies of a seed are done.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dlagent.replay.baselines import replica
from dlagent.replay.cheapest import Rules, cheapest_with
from dlagent.replay.engine import Outcome, Requests, World, replay
from dlagent.replay.kernel import Floats, Ints
from dlagent.replay.misses import MOST_WORK, miss_table, stretches, table_work
from dlagent.replay.planned import TICK_SECONDS, Change, Planned, changes
from dlagent.replay.rows import attained

_BEFORE = (1, 3)  # ticks from which a table knows what still waits; the second where it is cheap
_ROUNDS = 6  # of planning and verifying
_SPENT = 0.99  # of the budget: near enough
_CORRECTION = 3.0  # by which the misses of the table are corrected at most in a round
_NEVER_SCRAPED = 86_400.0  # seconds
_SETTLED_SECONDS = 30.0  # before 0, by when what served the warm-up alone is gone
_MINUTE = 60.0


@dataclass(frozen=True)
class Hindsight:
    """`outcome` is of the cheapest plan that attains the objective, if `attains`.

    Else no plan was found that does, and it is of the one that attains most. `found_by` is
    `planned`, or the policy whose own plan is the cheapest. No plan of the table costs less than
    `bound_seconds` of pods: how much can be missing to the best plan.
    """

    outcome: Outcome
    attains: bool
    found_by: str
    bound_seconds: float

    @property
    def gap(self) -> float:
        """By which share it costs more than the bound; 0 where it is below, as the table errs."""
        return max(0.0, self.outcome.pod_seconds / self.bound_seconds - 1)


def hindsight(world: World, requests: Requests, others: Sequence[tuple[str, Outcome]]) -> Hindsight:
    """`others` are names of policies, and what each came to with the same requests and world."""
    # Nothing that a plan asks for depends on scrapes.
    manifest = replace(world.manifest, scrape_seconds=_NEVER_SCRAPED)
    world = replace(world, manifest=manifest, faults=())
    found: list[tuple[str, Outcome]] = []
    bounds = []
    for before in _BEFORE:
        of = stretches(world, requests)
        if before > _BEFORE[0] and table_work(of, before) > MOST_WORK / 4:
            break
        outcome, bound = _planned(world, requests, miss_table(of, before))
        bounds.append(bound * TICK_SECONDS)
        found.append(("planned", outcome))
    found += others  # last: a plan of its own is named where both cost the same
    enough = [each for each in found if attained(each[1]) >= manifest.objective]
    found_by, outcome = (
        min(enough, key=lambda each: each[1].pod_seconds)
        if enough
        else max(found, key=lambda each: attained(each[1]))
    )
    return Hindsight(outcome, bool(enough), found_by, min(bounds))


def _planned(world: World, requests: Requests, table: Floats) -> tuple[Outcome, float]:
    """The best of some rounds of planning with the table, and its bound in pods times ticks."""
    start = world.pod_start_seconds
    rules = Rules(
        start_ticks=start / TICK_SECONDS,
        least=world.manifest.min_replicas,
        first=world.initial,
        limited_ticks=(start + requests.begins) / TICK_SECONDS,
    )
    budget = (1 - world.manifest.objective) * int(np.count_nonzero(requests.times >= 0))
    bound = cheapest_with(table, budget, rules).bound
    allowed, best = budget, None
    for _ in range(_ROUNDS):
        solution = cheapest_with(table, allowed, rules)
        outcome = follow(world, requests, solution.ready)
        missed = int(outcome.requests.sum() - outcome.good.sum())
        best = outcome if best is None else _better(best, outcome, world.manifest.objective)
        if _SPENT * budget <= missed <= budget or solution.missed > allowed:
            break
        correction = budget * (1 + _SPENT) / 2 / max(1, missed)
        allowed = solution.missed * min(max(correction, 1 / _CORRECTION), _CORRECTION)
    assert best is not None  # noqa: S101  # there is a first round
    return best, bound


def follow(world: World, requests: Requests, ready: Ints) -> Outcome:
    """What comes of having `ready[k]` pods from tick k on, as nearly as pods can be there."""
    asked = _with_warm_up(changes(ready, world.pod_start_seconds, requests.begins), world, requests)
    return replay(world, requests, Planned(asked, requests.begins))


def _better(one: Outcome, other: Outcome, objective: float) -> Outcome:
    both = [each for each in (one, other) if attained(each) >= objective]
    if both:
        return min(both, key=lambda each: each.pod_seconds)
    return max((one, other), key=attained)


def _with_warm_up(asked: list[Change], world: World, requests: Requests) -> list[Change]:
    """With enough pods until shortly before 0, which cost nothing, lest a backlog be left."""
    if requests.begins >= -_SETTLED_SECONDS:
        return asked
    minutes = np.floor(requests.times[requests.times < 0] / _MINUTE).astype(np.int64)
    busiest = np.bincount(minutes - minutes.min()).max() / _MINUTE if len(minutes) else 0.0
    enough = math.ceil(busiest / replica.requests_per_second(world.manifest))
    early = [(at, max(number, enough)) for at, number in asked if at < -_SETTLED_SECONDS]
    settled = [number for at, number in asked if at <= -_SETTLED_SECONDS][-1]
    late = [(at, number) for at, number in asked if at > -_SETTLED_SECONDS]
    return [*early, (-_SETTLED_SECONDS, settled), *late]
