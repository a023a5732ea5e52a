"""What admission says of spec.build: what may be done to a network, and what must be left of it."""

from typing import Any

import pytest

from admission import SMALLEST, agent, refusal
from harness import Json, Kubectl, merged

DATASET = {"uri": "pvc://models/shoes.npz", "sha256": "1a" * 32}
STUDENT = {"uri": "pvc://models/small.pt2", "sha256": "2b" * 32}


def build(**fields: Any) -> Json:
    return {"build": fields}


def judged(**gate: Any) -> Json:
    return {"build": {"dataset": DATASET, "gate": gate}}


REFUSED = [
    ("INT8 without a data set", build(precision="INT8"), "spec.build.dataset: "),
    ("pruning without a data set", build(prune={"channelsPercent": 50}), "spec.build.dataset: "),
    ("a gate without a data set", build(gate={}), "spec.build.dataset: "),
    ("distillation without a data set", build(distill={}), "spec.build.dataset: "),
    (
        "a data set that could change",
        build(dataset={"uri": "pvc://models/shoes.npz"}),
        "spec.build.dataset.sha256: ",
    ),
    (
        "a student that could change",
        build(dataset=DATASET, distill={"student": {"uri": "pvc://models/small.pt2"}}),
        "spec.build.distill.student.sha256: ",
    ),
    (
        "a student that is no program",
        build(dataset=DATASET, distill={"student": STUDENT | {"uri": "pvc://models/s.onnx"}}),
        "must name a .pt2 file, as torch.export.save writes it",
    ),
    (
        "more time for trying than there is",
        build(timeBudgetMinutes=60),
        "must be below timeoutMinutes (default 60)",
    ),
    ("the best k of another metric", judged(metric="F1", k=3), "spec.build.gate.k: "),
    ("no k of the best k", judged(metric="TopK"), "spec.build.gate.k: "),
    ("no limit of an error", judged(metric="MaxAbsError"), "spec.build.gate.maxAbsError: "),
    (
        "two limits",
        judged(metric="MaxAbsError", maxAbsError="0.1", maxDropPercent="1"),
        "has no meaning with metric: MaxAbsError; set maxAbsError",
    ),
    (
        "no loss at all",
        judged(maxDropPercent="0"),
        'must be above 0 and below 100, such as "1" for one point',
    ),
    (
        "no error at all",
        judged(metric="MaxAbsError", maxAbsError=0),
        "must be above 0; the outputs of another precision are never the same to the last bit",
    ),
    (
        "nearly all channels",
        build(dataset=DATASET, prune={"channelsPercent": 95}),
        "less than or equal to 90",
    ),
    ("a precision that is not tried", build(precision="FP8"), '"Auto", "FP32", "FP16", "INT8"'),
    ("FP16 without a data set", build(precision="FP16"), "spec.build.dataset: "),
    (
        "FP16 on a CPU",
        build(precision="FP16", dataset=DATASET),
        "FP16 is for accelerators, since on a CPU it is slower than FP32",
    ),
    ("an engine that nobody has", build(engine="OpenVINO"), '"Auto", "ONNXRuntime"'),
]


@pytest.mark.parametrize(
    ("change", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refuses(kubectl: Kubectl, change: Json, message: str) -> None:
    said = refusal(kubectl, agent("bad", merged(SMALLEST, change)))
    assert message in said


def test_says_what_needs_a_data_set(kubectl: Kubectl) -> None:
    said = refusal(kubectl, agent("bad", merged(SMALLEST, build(precision="INT8"))))
    assert "must be set for precision FP16 or INT8, prune, distill and gate" in said


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(build(precision="FP32"), id="FP32 needs no data set"),
        pytest.param(build(prune={"channelsPercent": 0}), id="nor does forbidding to prune"),
        pytest.param(build(dataset=DATASET), id="a data set is enough"),
        pytest.param(
            build(precision="FP16", dataset=DATASET)
            | {"serving": {"accelerator": {"resource": "nvidia.com/gpu"}}},
            id="FP16 on an accelerator",
        ),
        pytest.param(build(engine="ONNXRuntime"), id="no TensorRT"),
        pytest.param(judged(metric="MaxAbsError", maxAbsError="0.001"), id="an error as a limit"),
        pytest.param(judged(maxDropPercent="0.05"), id="a small loss"),
    ],
)
def test_takes(kubectl: Kubectl, change: Json) -> None:
    kubectl.apply(agent("good", merged(SMALLEST, change)))
