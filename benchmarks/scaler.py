"""`scaler`: what the operator's scaling costs beside other autoscalers, on the same requests.

Runs `dlagent replay`'s simulator on traces and on generated traffic. Each case has the frontier of
the baselines swept, interpolated to what the operator attains, and the oracle.

worst_ratio       of the operator's replica-hours to the frontier's, in the worst case (worst_case;
                  worst_ratio_upper: the largest end of a 95 % interval, paired by seed)
bursty_ratio      the geometric mean of that ratio over bursty traffic
predictable_oracle_ratio  to the oracle, in the worst predictable case; _attained: what it attains
gap_worst_gain    attained with the metrics lost for ten minutes, less what holding the replicas
                  attains, at the worst start; gap_scale_downs: how often it scaled down in a gap
cases             each of them; `outside` marks one where no mixture of baselines attains as much
"""

import argparse
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from benchmarks.bench import BenchmarkError, report, say
from benchmarks.scaler_study import figures, markdown
from benchmarks.scaler_study.cases import (
    LONG_SWEEP,
    SOURCES,
    Case,
    Source,
    all_cases,
    default_cases,
    quick_cases,
)
from benchmarks.scaler_study.figures import Interval, Result, Seed, seed_of
from benchmarks.scaler_study.gaps import Gap, lose, starts
from dlagent.replay.compare import compare

TRACES = Path(__file__).parents[2] / "shared" / "traces"
DEFAULT_SEEDS, ALL_SEEDS = 2, 5
DEFAULT_GRID_MINUTES, ALL_GRID_MINUTES = 30, 5
DEFAULT_GAPS = ("azure-spiky", "azure-llm", "diurnal", "bursts")

Figures = dict[str, object]
T = TypeVar("T")


def main() -> None:
    """Run and report."""
    options = _options()
    full = os.environ.get("FULL") == "1"
    sources = _sources(options.traces, options.only)
    seeds = range(1, 1 + (options.seeds or (ALL_SEEDS if full else DEFAULT_SEEDS)))
    cases = all_cases(sources) if full else default_cases(sources)
    losing = [Case(each, LONG_SWEEP) for each in sources if full or each.name in DEFAULT_GAPS]
    grid = ALL_GRID_MINUTES if full else DEFAULT_GRID_MINUTES
    if options.quick:
        cases = losing = quick_cases()
        grid = DEFAULT_GRID_MINUTES
    began = time.monotonic()
    # Not by fork: numba has threads.
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        results = _results(pool, cases, options.traces, seeds)
        gaps = _gaps(pool, losing, options.traces, grid)
    _write(options, results, gaps)
    report(_summary(results, gaps) | {"wall_s": round(time.monotonic() - began)})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks scaler",
        description="FULL=1 in the environment: every case, every baseline, five seeds.",
    )
    parser.add_argument(
        "--traces",
        type=Path,
        default=TRACES,
        help="folder of the Azure traces; default %(default)s",
    )
    parser.add_argument("--quick", action="store_true", help="one small case, to see that it works")
    parser.add_argument("--only", default="", metavar="NAME,...", help="this traffic alone")
    parser.add_argument("--seeds", type=int, help=f"{DEFAULT_SEEDS}, {ALL_SEEDS} with FULL=1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--markdown", type=Path, metavar="OUT", help="write the table to this file")
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="write the Pareto picture")
    return parser.parse_args()


def _sources(folder: Path, only: str) -> tuple[Source, ...]:
    """Those that are asked for, where their file is there or they need none."""
    names = [each.name for each in SOURCES]
    wanted = only.split(",") if only else names
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        raise SystemExit(f"--only {','.join(unknown)}: there are {', '.join(names)}")
    missing = [each.name for each in SOURCES if each.file and not (folder / each.file).is_file()]
    if set(missing) & set(wanted):
        say(f"without {', '.join(missing)}: give their folder by --traces")
    found = tuple(each for each in SOURCES if each.name in wanted and each.name not in missing)
    if not found:
        raise SystemExit(f"no traffic: --traces {folder} has none of {', '.join(wanted)}")
    return found


def _results(
    pool: ProcessPoolExecutor, cases: Sequence[Case], folder: Path, seeds: Sequence[int]
) -> list[Result]:
    """A process runs a seed of a case; the longest ones go first, so that all end together."""
    order = sorted(cases, key=lambda case: case.minutes * case.mean_replicas, reverse=True)
    work = {
        (case, seed): partial(_one_seed, case, folder, seed) for case in order for seed in seeds
    }
    found = _in_processes(pool, work, lambda key: f"{key[0].name}, seed {key[1]}")
    return [Result(case, tuple(found[case, seed] for seed in seeds)) for case in cases]


def _gaps(
    pool: ProcessPoolExecutor, cases: Sequence[Case], folder: Path, every_minutes: int
) -> list[Gap]:
    work = {
        (case, minute): partial(lose, case, folder, 1, minute)
        for case in cases
        for minute in starts(case, every_minutes)
    }
    found = _in_processes(pool, work, lambda key: f"{key[0].name}, gap at minute {key[1]}")
    return [found[key] for key in work]


def _in_processes(
    pool: ProcessPoolExecutor,
    work: Mapping[tuple[Case, int], Callable[[], T]],
    name: Callable[[tuple[Case, int]], str],
) -> dict[tuple[Case, int], T]:
    futures: dict[Future[T], tuple[Case, int]] = {
        pool.submit(task): key for key, task in work.items()
    }
    found: dict[tuple[Case, int], T] = {}
    for done in as_completed(futures):
        key = futures[done]
        try:
            found[key] = done.result()
        except ValueError as error:
            pool.shutdown(wait=False, cancel_futures=True)
            raise BenchmarkError(f"{name(key)}: {error}") from error
        say(f"{name(key)}: {len(found)} of {len(futures)}")
    return found


def _one_seed(case: Case, folder: Path, seed: int) -> Seed:
    return seed_of([run.row for run in compare(case.setup(folder, seed), jobs=1)])


def _write(options: argparse.Namespace, results: Sequence[Result], gaps: Sequence[Gap]) -> None:
    if options.markdown is not None:
        text = f"{markdown.table(results)}\n\n{markdown.gap_table(gaps)}\n"
        options.markdown.write_text(text)
    if options.plot is not None:
        from benchmarks.scaler_study.picture import draw  # matplotlib takes a second to import

        draw(options.plot, [each for each in results if each.case.name == each.case.source.name])


def _summary(results: Sequence[Result], gaps: Sequence[Gap]) -> Figures:
    worst = figures.worst(results)
    predictable = figures.dearest_predictable(results)
    summary: Figures = {
        "worst_ratio": round(worst.against_baselines.ratio, 4),
        "worst_case": worst.case.name,
        "worst_ratio_upper": _finite(max(each.against_baselines.upper for each in results)),
    }
    bursty = figures.bursty(results)
    if bursty is not None:
        summary |= {"bursty_ratio": round(bursty.ratio, 4), "bursty_interval": _ends(bursty)}
    if predictable is not None:
        summary |= {
            "predictable_oracle_ratio": round(predictable.against_oracle.ratio, 4),
            "predictable_case": predictable.case.name,
            "predictable_attained": round(predictable.attained, 6),
        }
    return summary | {
        **_of_gaps(gaps),
        "cases": {each.case.name: _of_case(each) for each in results},
    }


def _of_gaps(gaps: Sequence[Gap]) -> Figures:
    if not gaps:
        return {"gaps": 0}
    worst = min(gaps, key=lambda each: each.gain)
    return {
        "gaps": len(gaps),
        "gap_worst_gain": round(worst.gain, 6),
        "gap_worst": f"{worst.case}, minute {worst.minute}",
        "gap_scale_downs": sum(each.scale_downs for each in gaps),
    }


def _of_case(result: Result) -> Figures:
    against = result.against_baselines
    return {
        "attained": round(result.attained, 6),
        "replica_hours": [round(each.cost, 3) for each in result.seeds],
        "baseline_replica_hours": [round(each.baseline_cost, 3) for each in result.seeds],
        "ratio": round(against.ratio, 4),
        "interval": _ends(against),
        "outside": result.outside,
        "oracle_ratio": round(result.against_oracle.ratio, 4),
    }


def _ends(interval: Interval) -> list[float | None]:
    return [_finite(interval.lower), _finite(interval.upper)]


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
