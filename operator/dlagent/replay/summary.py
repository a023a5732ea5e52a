"""The runs of a comparison taken together: each policy over its seeds, and the frontiers.

`dlagent replay` prints and draws it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dlagent.replay.compare import ORACLE, OURS, Run
from dlagent.replay.frontier import Point, cost_at, frontier
from dlagent.replay.policies import PolicyChoice
from dlagent.replay.rows import Row


@dataclass(frozen=True)
class Summary:
    """One policy with its rows, one of each seed; `on_frontier` of those of its kind."""

    choice: PolicyChoice
    rows: tuple[Row, ...]
    on_frontier: bool

    @property
    def point(self) -> Point:
        """The means over the seeds; the cost is in replica-hours."""
        return _point(self.choice, self.rows)


def summarise(runs: Sequence[Run]) -> list[Summary]:
    """In the order in which the policies come first."""
    rows: dict[PolicyChoice, list[Row]] = {}
    for run in runs:
        rows.setdefault(run.choice, []).append(run.row)
    points: dict[str, list[Point]] = {}
    for choice, of_choice in rows.items():
        points.setdefault(choice.kind, []).append(_point(choice, of_choice))
    best = {each.name for of_kind in points.values() for each in frontier(of_kind)}
    swept = {kind for kind, of_kind in points.items() if len(of_kind) > 1}
    return [
        Summary(choice, tuple(of_choice), choice.kind in swept and choice.name in best)
        for choice, of_choice in rows.items()
    ]


def against_baselines(summaries: Sequence[Summary]) -> tuple[float, float] | None:
    """What `ours` attains, and its cost over that of the best baselines where they attain as much.

    The ratio is 0 where none does. None without `ours`, or without baselines.
    """
    ours = [each.point for each in summaries if each.choice.kind == OURS]
    others = [each.point for each in summaries if each.choice.kind not in (OURS, ORACLE)]
    if not ours or not others:
        return None
    return ours[0].attained, ours[0].cost / cost_at(frontier(others), ours[0].attained)


def _point(choice: PolicyChoice, rows: Sequence[Row]) -> Point:
    attained = sum(row.attained for row in rows) / len(rows)
    return Point(choice.name, attained, sum(row.replica_hours for row in rows) / len(rows))
