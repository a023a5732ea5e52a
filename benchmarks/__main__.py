"""`python -m benchmarks NAME [options of the benchmark]`."""

import importlib
import sys

NAMES = {
    "artifact_speed": "how much faster builds make real networks, and what of the accuracy is left",
    "build_time": "where the time of a build goes",
    "decision_cost": "what one decision about replicas costs the operator",
    "first_answer": "kubectl apply to the first correct answer",
    "fused_or_ensemble": "what steps in Python cost beside steps that are fused",
    "load_generator": "requests a second that one core of `dlagent bench` sends in time",
    "operator_scale": "the operator with 1,000 agents, beside one of plain kopf",
    "replay_speed": "requests a second that the simulator of `dlagent replay` plays",
    "scaler": "what the operator's scaling costs beside other autoscalers, on the same requests",
    "scaler_ablation": "what each part of the operator's scaling is worth",
    "search": "the search for the fastest version, beside trying everything",
    "slo_live": "the promise under real load, beside a HorizontalPodAutoscaler",
    "steady_state": "what the operator costs while nothing happens",
    "summaries": "what Triton's latency summaries cost",
    "tuner": "the operator's serving plan beside the best of all, and its trials",
}


def main() -> None:
    """Run the benchmark that is named first."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        known = "\n".join(f"  {name:18}{text}" for name, text in NAMES.items())
        raise SystemExit(f"which benchmark?\n{known}")
    name = sys.argv.pop(1)
    importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
