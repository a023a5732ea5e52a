"""`tuner`: few trials and a model against trying every plan, on the simulated accelerator.

For three shapes of tau(b) = tau0 + alpha b (tau0/alpha of 0.25, 2 and 20) all plans are the grid of
7 batch sizes, 3 delays and 1, 2 or 4 instances.

share_of_best            the least, over the shapes, of what the tuner's plan answers within the
                         promise as a share of the best plan's. COMPUTED: each plan of the grid, and
                         the tuner's, by a simulation of every request (benchmarks/tuning/truth.py)
share_of_trials          the most, over the shapes, of the tuner's trials as a share of the grid's.
                         MEASURED on the real Triton, through the build's own stage
share_of_best_measured   the same as share_of_best, of some plans that were MEASURED: under an open
                         loop of Poisson arrivals on the real Triton. They are the tuner's, the best
                         of the grid, the best with a delay, and the best with several instances
baseline_trials          the plans of the grid, which is the baseline: its share of the best is 1
shapes                   the figures of each, with plans as [batch, delay in us, instances]; rates
                         in requests/s
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import BenchmarkError, report, say
from benchmarks.tuning.served import Served, served, subject
from benchmarks.tuning.truth import Promise, grid, true_rate
from dlagent.api.types import Serving, Slo
from dlagent.build.measure import measure
from dlagent.build.runtime import Session
from dlagent.domain.artifact.request import Simulated, Target
from dlagent.domain.artifact.triton_config import ServingPlan, serving_plan
from dlagent.domain.tuning.trials import BATCHES

RATIOS = (0.25, 2.0, 20.0)
LONE_MILLISECONDS = 60.0  # tau(1)
THRESHOLD_MILLISECONDS, OBJECTIVE_PERCENT = 480, 95
DELAYS = (0, 15_000, 60_000)  # microseconds: none, a quarter of tau(1), all of it
INSTANCES = (1, 2, 4)
PROMISE = Promise(THRESHOLD_MILLISECONDS / 1000, OBJECTIVE_PERCENT / 100)
# Instances are free to choose, as on a device: its replicas have an accelerator.
SERVING = Serving.model_validate({"accelerator": {"resource": "dlagent.io/simulated"}})

Figures = dict[str, object]


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks tuner")
    parser.add_argument("--no-load", action="store_true", help="measure no plan under load")
    options = parser.parse_args()
    shapes: dict[str, Figures] = {}
    with (
        tempfile.TemporaryDirectory(prefix="dlagent-bench-") as folder,
        served(Path(folder)) as triton,
    ):
        for ratio in RATIOS:
            figures = _shape(triton, _device(ratio), not options.no_load)
            say(f"tau0/alpha {ratio:g}: {figures}")
            shapes[f"{ratio:g}"] = figures
    summary: Figures = {
        "share_of_best": _extreme(min, shapes, "share_of_best"),
        "share_of_trials": _extreme(max, shapes, "share_of_trials"),
    }
    if not options.no_load:
        summary["share_of_best_measured"] = _extreme(min, shapes, "share_of_best_measured")
    report(summary | {"baseline_trials": len(_grid()), "shapes": shapes})


def _shape(triton: Served, device: Simulated, load: bool) -> Figures:
    truth = {_name(plan): true_rate(plan, device, PROMISE) for plan in _grid()}
    plans = {_name(plan): plan for plan in _grid()}
    best = max(truth, key=truth.__getitem__)
    chosen, trials = _tuned(triton, device)
    name = _name(chosen)
    figures: Figures = {
        "share_of_best": round(truth[name] / truth[best], 3),
        "share_of_trials": round(trials / len(truth), 3),
        "trials": trials,
        "plan": name,
        "best_plan": best,
        "rate": round(truth[name], 2),
        "best_rate": round(truth[best], 2),
    }
    if load:
        with_delay = max((n for n in truth if n[1] > 0), key=truth.__getitem__)
        with_several = max((n for n in truth if n[2] > 1), key=truth.__getitem__)
        measured: dict[tuple[int, int, int], float] = {}
        for each in (name, best, with_delay, with_several):
            if each not in measured:
                measured[each] = triton.rate(plans[each], device, PROMISE, truth[each])
                say(f"{each}: {measured[each]:.2f}/s measured, {truth[each]:.2f}/s computed")
        figures["share_of_best_measured"] = round(measured[name] / max(measured.values()), 3)
        figures["measured"] = [
            {"plan": plan, "rate": round(rate, 2), "computed_rate": round(truth[plan], 2)}
            for plan, rate in measured.items()
        ]
    return figures


def _tuned(triton: Served, device: Simulated) -> tuple[ServingPlan, int]:
    """The operator's plan from what the build's stage measured, and in how many trials."""
    target = Target(triton_version="24.10", accelerator="simulated", simulated=device)
    what = subject()
    found = measure(what, Session(what.model), target, triton.models)
    say(found.how)
    if "on Triton" not in found.how or "not possible" in found.how:
        raise BenchmarkError(found.how)
    slo = Slo.model_validate(
        {
            "latency": {
                "thresholdMilliseconds": THRESHOLD_MILLISECONDS,
                "objectivePercent": OBJECTIVE_PERCENT,
            }
        }
    )
    return serving_plan(found.tau, SERVING, slo, what.interface), len(found.tau)


def _device(ratio: float) -> Simulated:
    per_item = LONE_MILLISECONDS / (1 + ratio)
    return Simulated(base_milliseconds=LONE_MILLISECONDS - per_item, per_item_milliseconds=per_item)


def _grid() -> list[ServingPlan]:
    return grid(BATCHES, DELAYS, INSTANCES)


def _name(plan: ServingPlan) -> tuple[int, int, int]:
    return plan.max_batch_size, plan.batch_delay_microseconds, plan.instances


def _extreme(
    pick: Callable[[list[float]], float], shapes: dict[str, Figures], figure: str
) -> float:
    return pick([float(str(figures[figure])) for figures in shapes.values()])


if __name__ == "__main__":
    main()
