"""The cheapest plan for a table of misses, by dynamic programming over ticks; numba compiles it.

`dlagent.replay.oracle` asks for a plan with so many misses. A weight of each miss turns that into
what the dynamic programming solves, and is bisected (Everett 1963, "Generalized Lagrange multiplier
method"). Between the two last weights the plan jumps; a mixture of both plans in time is then no
worse than either by their weight, and has as many misses as are allowed.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dlagent.replay.kernel import Floats, Ints, compiled
from dlagent.replay.planned import pod_ticks

# Of a miss, in pods times ticks: from a pod for a day against one request to 10,000 in a tick.
_LEAST_WEIGHT, _GREATEST_WEIGHT = 1e-6, 1e4
_WEIGHTS_APART = 1.002


class Rules(NamedTuple):
    """What plans there are; numbers of pods go from `least` on.

    `start_ticks` is how long a pod takes to start. In the first `limited_ticks` there are at most
    `first` pods: nothing that is asked for is ready by then.
    """

    start_ticks: float
    least: int
    first: int
    limited_ticks: float


@compiled
def cheapest_plan(misses: Floats, weight: float, rules: Rules) -> tuple[Ints, float]:
    """The ready pods in each tick that cost least, and that cost in pods times ticks.

    `misses[k, i]` requests are missed in tick k by `least` + i pods, each of which costs `weight`.
    A pod costs one a tick, and its start when it is added, as far as that lies after 0.
    """
    ticks, numbers = misses.shape
    came_from = np.zeros((ticks, numbers), np.int32)
    best = np.zeros(numbers)
    for tick in range(ticks):
        if tick > 0:
            _change(best, came_from[tick], min(rules.start_ticks, float(tick)))
        highest = rules.first if tick < rules.limited_ticks else rules.least + numbers
        for number in range(numbers):
            best[number] += rules.least + number + weight * misses[tick, number]
            if rules.least + number > highest:
                best[number] = np.inf
    plan = np.empty(ticks, np.int64)
    number = int(np.argmin(best))
    cost = float(best[number])
    for tick in range(ticks - 1, -1, -1):
        plan[tick] = rules.least + number
        number = came_from[tick, number]
    return plan, cost


@compiled
def _change(best: Floats, came_from: Ints, start: float) -> None:
    """From what each number cost so far to what each costs after a change, and where from.

    Removing is free and adding costs `start` each, so two running minima over the numbers do.
    """
    before = best.copy()
    place = len(best) - 1
    for number in range(len(best) - 1, -1, -1):
        if before[number] <= before[place]:
            place = number
        best[number], came_from[number] = before[place], place
    place = 0
    for number in range(len(best)):
        if before[number] - start * number < before[place] - start * place:
            place = number
        added = before[place] + start * (number - place)
        if added < best[number]:
            best[number], came_from[number] = added, place


@dataclass(frozen=True)
class Solution:
    """`bound` is what no plan with at most as many misses in the table costs less than."""

    ready: Ints
    missed: float
    bound: float


def cheapest_with(misses: Floats, allowed: float, rules: Rules) -> Solution:
    """A plan that misses at most `allowed` requests by the table, or the fewest that any does.

    Costs are in pods times ticks.
    """
    low, high = _LEAST_WEIGHT, _GREATEST_WEIGHT
    cheap, bound = cheapest_plan(misses, low, rules)
    bound -= low * allowed
    good, _ = cheapest_plan(misses, high, rules)
    if _missed(misses, cheap, rules) <= allowed:
        good = cheap
    elif _missed(misses, good, rules) > allowed:
        return Solution(good, _missed(misses, good, rules), pod_ticks(good, rules.start_ticks))
    else:
        while high / low > _WEIGHTS_APART:
            weight = (low * high) ** 0.5
            plan, cost = cheapest_plan(misses, weight, rules)
            bound = max(bound, cost - weight * allowed)
            if _missed(misses, plan, rules) > allowed:
                low, cheap = weight, plan
            else:
                high, good = weight, plan
        mixed = [_mixed(misses, allowed, rules, *pair) for pair in ((cheap, good), (good, cheap))]
        good = min([good, *mixed], key=lambda plan: pod_ticks(plan, rules.start_ticks))
    return Solution(good, _missed(misses, good, rules), bound)


def _mixed(misses: Floats, allowed: float, rules: Rules, first: Ints, last: Ints) -> Ints:
    """The one plan up to some tick and the other from there on: the cheapest that is allowed.

    One of the two has to be.
    """
    missed = _from_each_tick(_misses(misses, first, rules), _misses(misses, last, rules))
    starts = np.minimum(rules.start_ticks, np.arange(1, len(first)))
    first_adds = starts * np.maximum(0, np.diff(first))
    last_adds = starts * np.maximum(0, np.diff(last))
    costs = _from_each_tick(first + np.append(0.0, first_adds), last + np.append(0.0, last_adds))
    costs[1:-1] += starts * np.maximum(0, last[1:] - first[:-1]) - last_adds  # where they meet
    costs[missed > allowed] = np.inf
    tick = int(np.argmin(costs))
    return np.concatenate([first[:tick], last[tick:]])


def _from_each_tick(first: Floats, last: Floats) -> Floats:
    """For each tick the sum of what comes of `first` before it and of `last` from it on."""
    before = np.concatenate([[0.0], np.cumsum(first)])
    after = np.concatenate([[0.0], np.cumsum(last[::-1])])[::-1]
    sums: Floats = before + after
    return sums


def _misses(misses: Floats, ready: Ints, rules: Rules) -> Floats:
    found: Floats = misses[np.arange(len(ready)), ready - rules.least]
    return found


def _missed(misses: Floats, ready: Ints, rules: Rules) -> float:
    return float(_misses(misses, ready, rules).sum())
