"""What the best settings of a policy cost at a share attained: the frontier of a sweep.

`dlagent replay` marks it in its table and draws it; the benchmark `scaler` asks what the baselines
cost where they attain as much as the operator's own policy.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """One policy: the share that it attained, from 0 to 1, and what it cost, in any unit."""

    name: str
    attained: float
    cost: float


def frontier(points: Iterable[Point]) -> tuple[Point, ...]:
    """The lower convex hull, from the cheapest point to the one that attains most.

    Both the shares and the costs rise along it. What lies above a line between two points of it is
    beaten by taking the one of them for a part of the time, and the other for the rest.
    """
    hull: list[Point] = []
    for point in sorted(points, key=lambda each: (each.cost, -each.attained)):
        if hull and point.attained <= hull[-1].attained:
            continue
        while len(hull) > 1 and _not_below(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return tuple(hull)


def cost_at(hull: Sequence[Point], attained: float) -> float:
    """What attaining that much costs on a frontier, linear between its points.

    Less than its cheapest point attains costs as much as that one. Infinite above the best.
    """
    if not hull or attained > hull[-1].attained:
        return math.inf
    if attained <= hull[0].attained:
        return hull[0].cost
    place = next(number for number, each in enumerate(hull) if each.attained >= attained)
    before, after = hull[place - 1], hull[place]
    share = (attained - before.attained) / (after.attained - before.attained)
    return before.cost + share * (after.cost - before.cost)


def _not_below(before: Point, middle: Point, after: Point) -> bool:
    """Whether the middle one is on or above the line through the other two."""
    rise = (after.cost - before.cost) * (middle.attained - before.attained)
    return (middle.cost - before.cost) * (after.attained - before.attained) >= rise
