"""Both runs of `slo_live` on one page: the load, the replicas of both, the p99 of both."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from benchmarks.live.run import Run
from dlagent.bench import page
from dlagent.bench.result import Timeline, timeline
from dlagent.bench.words import percentage
from dlagent.report.style import INK

_STEP_SECONDS = 5.0
_OURS, _BASELINE = "the operator", "HorizontalPodAutoscaler"
_HOW_TO_READ = (
    "The same requests were sent at the same times, first with the operator deciding (scaling.mode "
    "Auto), then with a HorizontalPodAutoscaler on requests per second of each replica. Replicas "
    "are pods that a node has taken, starting and ending ones among them. Latency counts from when "
    "a request was due; a p99 is of the requests that were due within five seconds. A replica is a "
    "simulated accelerator: a batch takes 40 ms + 20 ms a request."
)


def draw(path: Path, ours: Run, baseline: Run, slo_seconds: float) -> None:
    """Write the PNG."""
    runs = ((_OURS, page.BLUE, ours), (_BASELINE, INK, baseline))
    lines = [timeline(each.requests, slo_seconds, _STEP_SECONDS) for _, _, each in runs]
    summary = "     ".join(
        f"{name}: {percentage(each.summary.within_slo)} in time, "
        f"{each.replica_seconds:,.0f} replica-seconds"
        for name, _, each in runs
    )
    title = "Steps and ramps, under the operator and under a HorizontalPodAutoscaler"
    figure, axes = page.panels(3, title, summary, page.wrapped(_HOW_TO_READ))
    load, replicas, latency = axes
    _load(load, lines[0])
    for (name, colour, each), line in zip(runs, lines, strict=True):
        seconds, held = [x.seconds for x in each.looks], [x.held for x in each.looks]
        replicas.step(seconds, held, colour, where="post", label=name, linewidth=1.6)
        middle = line.seconds + line.step_seconds / 2
        latency.plot(middle, line.p99_seconds, "o-", color=colour, label=name, markersize=2.2)
    page.scale_of_replicas(replicas, max(x.held for _, _, each in runs for x in each.looks))
    page.promise(latency, slo_seconds)
    page.scale_of_latency(latency, [*(line.p99_seconds for line in lines), np.array([slo_seconds])])
    latency.set_title("Latency, p99")
    page.finish(axes, max(each.looks[-1].seconds for _, _, each in runs))
    figure.savefig(path, format="png")


def _load(axis: Axes, line: Timeline) -> None:
    edges, offered = page.stairs(line, line.offered)
    axis.fill_between(edges, offered, color=page.FILL, step="post", label="offered")
    axis.set_title("Load, requests a second")
    axis.set_ylim(bottom=0)
