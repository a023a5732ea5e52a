"""The picture of a comparison: what was attained for how much, and the replicas over time.

Called by `dlagent replay --plot`. matplotlib is imported by this module alone.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from dlagent.replay.baselines import replica
from dlagent.replay.compare import ORACLE, OURS, Run, Setup
from dlagent.replay.frontier import frontier
from dlagent.replay.kernel import Floats
from dlagent.replay.summary import Summary, summarise
from dlagent.report.style import GATE, INK, PALE, dress

_SIZE_INCHES, _DPI = (11.0, 9.4), 130
_LINE_LETTERS = 150  # that fit beside each other
# Okabe and Ito, "Color Universal Design" (2008), and a shape for each.
_LOOKS = {
    "hpa-rps": ("#0072b2", "o"),
    "hpa-busy": ("#e69f00", "s"),
    "hpa-latency": ("#cc79a7", "v"),
    "keda-rps": ("#56b4e9", "D"),
    "kpa": ("#d55e00", "^"),
    "ray": ("#8a6d9f", "P"),
    "fixed": (INK, "x"),
}
_OURS = "#009e73"
_LEAST_SPENT = 0.01  # of the error budget: less stands at the edge
_HOUR = 3600.0
_POINTS = 720  # of the load over time: more would be noise


def draw(path: Path, trace: str, setup: Setup, runs: Sequence[Run]) -> None:
    """Write the PNG; `trace` is what was replayed. Runs must be in order."""
    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, facecolor="white")
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 2))
    figure.subplots_adjust(left=0.075, right=0.975, top=0.865, bottom=0.15, hspace=0.3)
    _attained(upper, setup, summarise(runs))
    _over_time(lower, setup, runs)
    for axis in (upper, lower):
        dress(axis)
        axis.title.set(fontsize=10.5, fontweight="bold", color=INK, ha="left", x=0.0)
    figure.text(0.02, 0.985, f"Replay of {trace}", fontsize=14, fontweight="bold", va="top")
    figure.text(0.02, 0.953, _subtitle(setup), fontsize=10, va="top", color=INK)
    figure.text(0.02, 0.012, _how_to_read(setup), fontsize=8.5, va="bottom", color=INK)
    figure.savefig(path, format="png")


def _subtitle(setup: Setup) -> str:
    manifest = setup.manifest
    service = manifest.service
    return (
        f"{manifest.objective * 100:g} % within {1000 * manifest.threshold_seconds:g} ms;"
        f" batches of b <= {service.max_batch} take {1000 * service.base_seconds:g} +"
        f" {1000 * service.per_item_seconds:g} b ms; a pod starts in"
        f" {manifest.pod_start_seconds:g} s; routing {setup.routing};"
        f" {len(setup.seeds)} seed{'s' if len(setup.seeds) > 1 else ''}"
    )


def _how_to_read(setup: Setup) -> str:
    text = (
        "Down is cheaper, and right of the dashed line the objective is not kept. 100 % is as many"
        f" missed requests as the objective allows; less than {_LEAST_SPENT:.0%} stands at the"
        " left edge. Marks are means over the seeds; a line joins the best of one kind of policy."
        f" Below: seed {setup.seeds[0]}; the load is divided by what one replica can do within the"
        " promise."
    )
    return fill(text, _LINE_LETTERS)


def _spent(attained: Floats, objective: float) -> Floats:
    """The share of the error budget."""
    found: Floats = np.maximum(_LEAST_SPENT, (1 - attained) / (1 - objective))
    return found


def _attained(axis: Axes, setup: Setup, summaries: Sequence[Summary]) -> None:
    objective = setup.manifest.objective
    kinds = dict.fromkeys(each.choice.kind for each in summaries)
    for kind in kinds:
        points = [each.point for each in summaries if each.choice.kind == kind]
        if kind in (OURS, ORACLE):
            colour, marker = (_OURS, "*") if kind == OURS else (GATE, "d")
            spent = _spent(np.array([points[0].attained]), objective)
            size = 17 if kind == OURS else 10
            axis.plot(spent, [points[0].cost], marker, color=colour, ms=size, label=kind, zorder=5)
            continue
        colour, marker = _LOOKS[kind]
        hull = frontier(points)
        every = _spent(np.array([each.attained for each in points]), objective)
        axis.plot(every, [each.cost for each in points], marker, color=colour, ms=4, alpha=0.35)
        best = _spent(np.array([each.attained for each in hull]), objective)
        axis.plot(best, [each.cost for each in hull], f"{marker}-", color=colour, ms=6, label=kind)
    axis.axvline(1, color=GATE, linestyle="--", linewidth=1.3)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlim(left=_LEAST_SPENT * 0.85)
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("error budget spent")
    axis.set_title("Replica-hours")
    _legend(axis)


def _over_time(axis: Axes, setup: Setup, runs: Sequence[Run]) -> None:
    first = [run for run in runs if run.row.seed == setup.seeds[0]]
    shown = next((run for run in first if run.choice.kind == OURS), first[0])
    outcome = shown.outcome
    per_point = math.ceil(len(outcome.requests) / _POINTS)
    edges = np.arange(0, len(outcome.requests), per_point)
    windows = np.diff([*edges, len(outcome.requests)])
    counts = np.add.reduceat(outcome.requests, edges) / (windows * outcome.window_seconds)
    needed = counts / replica.requests_per_second(setup.manifest)
    hours = edges * outcome.window_seconds / _HOUR
    axis.fill_between(hours, needed, color=PALE, step="post", label="load, in replicas")
    colours = {OURS: _OURS, ORACLE: GATE}
    for run in first:
        if run is shown or run.choice.kind == ORACLE:
            plan = [*run.outcome.plan, (run.outcome.duration_seconds, run.outcome.plan[-1][1])]
            times, numbers = zip(*plan, strict=True)
            colour = colours.get(run.choice.kind, INK)
            axis.step(np.array(times) / _HOUR, numbers, colour, where="post", label=run.choice.name)
    axis.set_xlim(0, outcome.duration_seconds / _HOUR)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("hours")
    axis.set_title("Replicas asked for")
    _legend(axis)


def _legend(axis: Axes) -> None:
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=9, fontsize=8.5, frameon=False)
