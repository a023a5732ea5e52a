"""What a visit sees: what a Job was made of, and what a running build is at."""

import json
from typing import Any

import pytest

from dlagent.api.types import DLAgentSpec
from dlagent.reconcile.gather import build_options, stage_of
from dlagent.runtime.settings import BuilderSettings

EXPORT = json.dumps({"stage": "export", "message": "exporting to ONNX", "step": 3, "of": 7})
FUSE = json.dumps({"stage": "fuse", "message": "fusing", "step": 4, "of": 7})
NOISE = ["/lib/torch/onnx.py:1: UserWarning: deprecated", "  warnings.warn(", "{}", "3", ""]
GPU = {"accelerator": {"resource": "nvidia.com/gpu"}}


def options(
    serving: dict[str, Any], build: dict[str, Any] | None = None, simulated: bool = False
) -> str:
    spec = {
        "model": {"source": {"uri": "pvc://models/net.onnx"}},
        "slo": {"latency": {"thresholdMilliseconds": 50}},
        "serving": serving,
        "build": build or {},
    }
    builder = BuilderSettings(image="builder:1")
    return build_options(DLAgentSpec.model_validate(spec), builder, simulated)


@pytest.mark.parametrize(
    ("serving", "expected"),
    [
        pytest.param({}, "ee6712ed104268ea", id="on a CPU"),
        pytest.param(GPU, "92e08f2cafbed02e", id="on an accelerator"),
    ],
)
def test_a_newer_operator_lets_the_jobs_of_an_older_one_go_on(
    serving: dict[str, Any], expected: str
) -> None:
    """Else an upgrade would begin all builds anew, and try again what failed for good."""
    assert expected == options(serving)


def test_a_job_is_another_where_its_pod_would_be_elsewhere() -> None:
    nodes = {"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"}}

    assert options(GPU) != options(GPU | nodes)
    assert options({}) == options(nodes)
    assert options(GPU, simulated=True) == options(GPU | nodes, simulated=True)
    assert options(GPU) != options(GPU, {"engine": "ONNXRuntime"})


def test_the_last_report_counts() -> None:
    assert "fusing (4 of 7)" == stage_of([EXPORT, FUSE])


def test_warnings_after_a_report_do_not_hide_it() -> None:
    assert "exporting to ONNX (3 of 7)" == stage_of([EXPORT, *NOISE])


def test_a_log_without_a_report_tells_no_stage() -> None:
    assert stage_of(NOISE) is None
    assert stage_of([]) is None
