"""`slo_live`: the promise under real load, by the operator and by a HorizontalPodAutoscaler.

The same 20 minutes of steps and ramps (benchmarks/live/curve.py), the same requests at the same
times, are sent to real Triton pods on the simulated accelerator, twice: the operator decides, then
Kubernetes' autoscaler does, on requests/s that come from Prometheus through the aggregated API
external.metrics.k8s.io. Both have the same bounds, and fewer replicas must have been enough for as
long. The autoscaler's target is four fifths of what one replica can do, which the operator tells.

attained          the share of all requests that were answered within 500 ms; 99 % is promised
replica_seconds   for how long nodes held the agent's pods, starting and ending ones too
requests, failed  all that were due; those without an answer, which have missed the promise too
late_p99_...      by how much the generator itself was late: its share in the latencies
baseline_...      the same under the HorizontalPodAutoscaler
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import (
    BenchmarkError,
    Room,
    bench_cluster,
    eventually,
    gone,
    report,
    room,
    say,
)
from benchmarks.live.curve import CURVE, beginning
from benchmarks.live.picture import draw
from benchmarks.live.run import Run, run
from benchmarks.live.scalers import (
    MODEL_FILE,
    TARGET_SHARE,
    THRESHOLD_MILLISECONDS,
    agent,
    autoscaler,
    scales,
)
from benchmarks.models.doubling import doubling_model
from dlagent.bench.words import percentage
from dlagent.domain.traffic.schedule import RateCurve
from dlagent_demo.kube import Json
from dlagent_local import deploy
from dlagent_local.external_metrics import external_metrics

OURS, BASELINE = "ours", "baseline"
_PODS = "dlagent.io/name={},app.kubernetes.io/component=serving"


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks slo_live")
    whole = CURVE.duration_seconds / 60
    parser.add_argument("--minutes", type=float, default=whole, help="of the load, from its start")
    parser.add_argument("--picture", type=Path, default=Path("slo_live.png"), help="where it goes")
    options = parser.parse_args()
    curve = beginning(CURVE, 60 * options.minutes)
    with bench_cluster() as cluster, room(cluster, "slo-live") as here:
        here.put(MODEL_FILE, doubling_model())
        ours, capacity = _by_operator(here, curve)
        say(f"a replica is told to answer {capacity} requests/s")
        baseline = _by_autoscaler(here, curve, TARGET_SHARE * capacity)
    draw(options.picture, ours, baseline, THRESHOLD_MILLISECONDS / 1000)
    say(f"the picture: {options.picture.absolute()}")
    figures = _figures(ours) | {f"baseline_{k}": v for k, v in _figures(baseline).items()}
    report(figures | {"minutes": options.minutes, "capacity_per_replica": capacity})


def _by_operator(here: Room, curve: RateCurve) -> tuple[Run, int]:
    """The run, and the requests/s that one replica answers as the operator told when it began."""
    here.kube.apply(agent(OURS, "Auto"))

    def told() -> int | None:
        found = here.kube.get("dlagent", OURS)
        capacity: int | None = found.get("status", {}).get("scaling", {}).get("capacityPerReplica")
        return capacity if scales(found) else None

    capacity: int = eventually("the operator to decide", told)
    return _under_load(here, OURS, curve), capacity


def _by_autoscaler(here: Room, curve: RateCurve, requests_per_replica: float) -> Run:
    hold_seconds = deploy.operator_values("")["settings"]["scaling"]["holdSeconds"]
    prometheus_url = here.cluster.service_url("monitoring", "prometheus")
    with (
        tempfile.TemporaryDirectory(prefix="dlagent-bench-") as folder,
        external_metrics(here.cluster.kube(), here.namespace, prometheus_url, Path(folder)),
    ):
        here.kube.apply(agent(BASELINE, "Manual"))
        here.kube.apply(autoscaler(BASELINE, requests_per_replica, hold_seconds))
        eventually("the autoscaler to decide", lambda: scales(here.kube.get("hpa", BASELINE)))
        return _under_load(here, BASELINE, curve)


def _under_load(here: Room, name: str, curve: RateCurve) -> Run:
    """The load on an agent that is ready with one replica; the agent is gone afterwards."""
    pods = _pods(here, name)
    eventually(f"{name} to serve", lambda: _serves(here.kube.get("dlagent", name)))
    url = here.cluster.service_url(here.namespace, name)
    say(f"{name}: {curve.requests:,.0f} requests in {curve.duration_seconds / 60:g} minutes")
    found = run(f"{url}/v2/models/{name}/infer", curve, pods)
    say(
        f"{name}: {percentage(found.summary.within_slo)} in time, "
        f"{found.replica_seconds:,.0f} replica-seconds"
    )
    if not found.summary.lateness.kept_up:
        say(f"{name}: the generator was late; the latencies are partly its own")
    here.kube("delete", "dlagent", name)
    eventually("its pods to be gone", lambda: gone(here.kube, "pods", _PODS.format(name)))
    return found


def _pods(here: Room, name: str) -> Callable[[], list[Json]]:
    """The agent's serving pods, asked without the CPU time of kubectl."""
    kube, selector = here.cluster.kube(), _PODS.format(name).replace("=", "%3D")
    path = f"/api/v1/namespaces/{here.namespace}/pods?labelSelector={selector}"

    def ask() -> list[Json]:
        found: list[Json] = kube.get(path)["items"]
        return found

    return ask


def _serves(found: Json) -> bool:
    status = found.get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    return conditions.get("Ready") == "True" and status.get("readyReplicas") == 1


def _figures(found: Run) -> Json:
    summary = found.summary
    if summary.within_slo is None:
        raise BenchmarkError("no request was sent")
    return {
        "attained": round(summary.within_slo, 5),
        "replica_seconds": round(found.replica_seconds),
        "requests": summary.due,
        "failed": summary.failed,
        "late_p99_milliseconds": round(1000 * summary.lateness.p99_seconds, 1),
    }


if __name__ == "__main__":
    main()
