"""The two that `slo_live` puts under the same load: the operator, and Kubernetes' own autoscaler.

Both scale an agent of the same spec within the same bounds. In mode Auto the operator decides. In
mode Manual a HorizontalPodAutoscaler on the agent's scale subresource does, as
tests/cluster/test_horizontal_pod_autoscaler.py has it: on the requests/s that the pods answer, as
an average for each pod, which is how KEDA feeds one (docs/explanation/baselines.md).
"""

from benchmarks.bench import MODELS_CLAIM
from dlagent_demo.kube import Json
from dlagent_local.external_metrics import AGENT_LABEL, METRIC

THRESHOLD_MILLISECONDS, OBJECTIVE_PERCENT = 500, 99
MIN_REPLICAS, MAX_REPLICAS = 1, 6
MODEL_FILE = "double.onnx"
# Of what one replica answers within the promise. The load may rise by a quarter before the replicas
# that are there are too few, and the autoscaler's tolerance of a tenth is within that.
TARGET_SHARE = 0.8


def agent(name: str, mode: str) -> Json:
    """The agent in mode Auto or Manual, to begin with the fewest replicas."""
    bounds: Json = {"minReplicas": MIN_REPLICAS, "maxReplicas": MAX_REPLICAS}
    latency = {
        "thresholdMilliseconds": THRESHOLD_MILLISECONDS,
        "objectivePercent": str(OBJECTIVE_PERCENT),
    }
    spec: Json = {
        "model": {"source": {"uri": f"pvc://{MODELS_CLAIM}/{MODEL_FILE}"}},
        "serving": {"runtime": "simulated-accelerator"},
        "slo": {"latency": latency},
        "scaling": {"mode": mode, **bounds},
    }
    if mode == "Manual":
        spec["replicas"] = MIN_REPLICAS
    return {
        "apiVersion": "dlagent.io/v1alpha1",
        "kind": "DLAgent",
        "metadata": {"name": name},
        "spec": spec,
    }


def autoscaler(name: str, requests_per_replica: float, hold_seconds: int) -> Json:
    """A HorizontalPodAutoscaler of the agent of this name.

    Args:
        name: the agent's, and its own.
        requests_per_replica: its target, in requests/s.
        hold_seconds: for how long fewer must have been enough, as for the operator. The default,
            five minutes, would only make it dearer in a run of twenty.
    """
    metric = {"name": METRIC, "selector": {"matchLabels": {AGENT_LABEL: name}}}
    target = {"type": "AverageValue", "averageValue": f"{round(1000 * requests_per_replica)}m"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "dlagent.io/v1alpha1",
                "kind": "DLAgent",
                "name": name,
            },
            "minReplicas": MIN_REPLICAS,
            "maxReplicas": MAX_REPLICAS,
            "metrics": [{"type": "External", "external": {"metric": metric, "target": target}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": hold_seconds}},
        },
    }


def scales(scaled: Json) -> bool:
    """Whether a DLAgent or an autoscaler has its metrics, and decides."""
    conditions = scaled.get("status", {}).get("conditions", [])
    return any(c["type"] == "ScalingActive" and c["status"] == "True" for c in conditions)
