"""`scaler_ablation`: what each part of the operator's decision is worth, by leaving it out.

Replays the same requests with the whole decision and with one part of it switched off. No cluster;
a quarter of an hour.

cases  by traffic and by what is left out: `attained`, `replica_hours`, and `ratio` of these to the
       frontier of a HorizontalPodAutoscaler on requests/s at as much attained (the baseline); null
       where it attains more than any of its settings
"""

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.bench import report, say
from benchmarks.scaler import TRACES
from benchmarks.scaler_study.cases import SHORT_SWEEP, SOURCES, Case
from dlagent.domain.scaling import budget, decision, forecast, need
from dlagent.domain.scaling.model import ScalingSettings
from dlagent.replay.compare import Run, run_policy
from dlagent.replay.frontier import Point, cost_at, frontier
from dlagent.replay.policies import parse_policies

GENERATED_HOURS = 4.0
TRAFFIC = ("azure-diurnal", "azure-spiky", "azure-llm", "steps", "bursts", "on-off")


def _no_history(*_: object) -> None:
    return None


def _price_at_first(_: object, objective: float, capacity: float, *__: object) -> float:
    return 1 / (budget._ELASTICITY * capacity * (1 - objective))


def _no_backlog(*_: object) -> int:
    return 1


def _as_it_is_set(_: object, settings: ScalingSettings, __: float) -> float:
    return settings.window_seconds


Patch = tuple[object, str, Any]
WITHOUT: Mapping[str, tuple[Patch, ...]] = {
    "nothing": (),
    "forecast": ((need, "_foreseen", _no_history),),
    "price that follows the budget": ((need, "price", _price_at_first),),
    "day before": ((forecast, "DAY_STEPS", 10**6),),
    "errors apart by level": ((forecast, "_GROUPS", 1),),
    "busiest minute as a limit": ((forecast, "_MORE_THAN_EVER", math.inf),),
    "charge for starting": ((need, "_KEPT_STARTS", 0.0),),
    "regret": ((need, "_REGRET_SECONDS", 0.0),),
    "what waits": ((need, "_with_backlog", _no_backlog),),
    "patience while little is known": ((decision, "patience_seconds", _as_it_is_set),),
}


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scaler_ablation")
    parser.add_argument("--traces", type=Path, default=TRACES, help="default %(default)s")
    parser.add_argument("--only", default=",".join(TRAFFIC), metavar="NAME,...")
    options = parser.parse_args()
    sources = [each for each in SOURCES if each.name in options.only.split(",")]
    cases = [
        Case(replace(each, hours=each.hours if each.file else GENERATED_HOURS), SHORT_SWEEP)
        for each in sources
    ]
    report({"cases": {case.name: _case(case, options.traces) for case in cases}})


def _case(case: Case, folder: Path) -> dict[str, dict[str, float | None]]:
    setup = case.setup(folder, 1)
    (ours,) = parse_policies("ours", case.manifest)
    say(f"{case.name}: the baseline")
    baselines = parse_policies(case.policies, case.manifest)
    hull = frontier(_point(run_policy(setup, choice, 1)) for choice in baselines)

    def told(run: Run) -> dict[str, float | None]:
        point = _point(run)
        cost = cost_at(hull, point.attained)
        return {
            "attained": round(point.attained, 5),
            "replica_hours": round(point.cost, 2),
            "ratio": round(point.cost / cost, 3) if math.isfinite(cost) else None,
        }

    return {name: told(run) for name, run in _each(case, lambda: run_policy(setup, ours, 1))}


def _each(case: Case, run: Callable[[], Run]) -> Iterator[tuple[str, Run]]:
    for name, patches in WITHOUT.items():
        say(f"{case.name}: without {name}")
        with ExitStack() as switched:
            for where, what, by in patches:
                switched.enter_context(patch.object(where, what, by))
            yield name, run()


def _point(run: Run) -> Point:
    return Point(run.row.policy, run.row.attained, run.row.replica_hours)


if __name__ == "__main__":
    main()
