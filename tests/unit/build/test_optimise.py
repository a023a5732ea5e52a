"""A build with a data set, in one process: what is tried, judged, published and refused."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper

from dlagent.domain.artifact.summary import Summary
from tests.unit.build.conftest import make_model

CLASSES, FEATURES, HIDDEN, EXAMPLES = 3, 16, 96, 900
CENTRES = np.random.default_rng(5).normal(size=(CLASSES, FEATURES)).astype(np.float32)


def classifier() -> ModelProto:
    """Scores [n, 3] of rows [n, 16]: the nearest of three centres, by way of wide products."""
    wide = np.linalg.qr(np.random.default_rng(7).normal(size=(HIDDEN, FEATURES)))[0].T
    nodes = [
        helper.make_node("MatMul", ["x", "widen"], ["a"]),
        helper.make_node("MatMul", ["a", "middle"], ["b"]),
        helper.make_node("MatMul", ["b", "narrow"], ["c"]),
        helper.make_node("Add", ["c", "bias"], ["scores"]),
    ]
    weights = {
        "widen": wide,
        "middle": np.eye(HIDDEN),
        "narrow": wide.T @ CENTRES.T,
        "bias": -0.5 * (CENTRES**2).sum(axis=1),
    }
    return make_model(nodes, {"x": ["batch", FEATURES]}, {"scores": ["batch", CLASSES]}, weights)


def examples(**changes: Any) -> bytes:
    """Rows around the centres, in tenths, as clients send them: perceive multiplies them by 0.1."""
    labels = np.arange(EXAMPLES) % CLASSES
    noise = np.random.default_rng(6).normal(size=(EXAMPLES, FEATURES))
    rows = (10 * (CENTRES[labels] + 0.7 * noise)).astype(np.float32)
    file = io.BytesIO()
    np.savez(file, **{"x": rows, "labels": labels, **changes})
    return file.getvalue()


def build(workshop: Any, data: bytes, **wanted: Any) -> Summary:
    workshop.put(classifier())
    workshop.put(data, "examples.npz")
    dataset = {
        "uri": "pvc://models/examples.npz",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    defaults = {"metric": "Accuracy", "maxDrop": "3", "epochs": 1}
    summary: Summary = workshop.build(
        perceive=[{"scale": {"multiply": "0.1"}}],
        act=[{"softmax": {}}],
        optimise={"dataset": dataset, **defaults, **wanted},
    )
    return summary


def report(workshop: Any, summary: Summary) -> Any:
    folder: Path = workshop.store_root / f"artifacts/{summary.key}"
    return json.loads((folder / "report.json").read_text())


def test_all_that_applies_is_judged_and_the_chosen_is_published(workshop: Any) -> None:
    summary = build(workshop, examples())

    assert "Published" == summary.outcome, summary.message
    told = report(workshop, summary)
    verdicts = {each["name"]: each["verdict"] for each in told["candidates"]}
    assert 1 == list(verdicts.values()).count("Chosen")
    assert "int8-u8s8-minmax" in verdicts
    assert "NotApplicable" == verdicts["pruned"]  # the source is ONNX
    assert told["chosen"] == next(name for name, v in verdicts.items() if v == "Chosen")
    assert ("Accuracy", 0.03) == (told["gate"]["metric"], told["gate"]["limit"])
    assert told["gate"]["before"] > 0.9
    assert [0, 1, 2] == [row["label"] for row in told["gate"]["perClass"]]
    assert EXAMPLES == sum(told["data"]["parts"].values())
    files = {path.name for path in (workshop.store_root / f"artifacts/{summary.key}").iterdir()}
    assert {"report.html", "report.json", "report.png"} <= files
    assert summary.metric == "Accuracy"
    assert summary.candidates[0].verdict == "Chosen"
    assert "data" in workshop.stages


def test_the_second_time_the_same_is_told_without_a_build(workshop: Any) -> None:
    first = build(workshop, examples())
    second = build(workshop, examples())

    assert ("Cached", first.key) == (second.outcome, second.key)
    assert first.candidates == second.candidates
    assert ["fetch"] == workshop.stages


def test_where_only_int8_may_serve_and_none_passes_the_gate_is_said_to_have_failed(
    workshop: Any,
) -> None:
    summary = build(
        workshop, examples(), precision="INT8", metric="MaxAbsError", maxDrop="0.000001"
    )

    assert ("Failed", "GateFailed") == (summary.outcome, summary.reason)
    assert summary.message.startswith("search: no version of the network")
    assert {"Dropped"} <= {each.verdict for each in summary.candidates}
    assert "NotApplicable" == next(e for e in summary.candidates if e.name == "fp32").verdict


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"labels": np.full(EXAMPLES, 3)}, "are not classes", id="no such class"),
        pytest.param(
            {"labels": (np.arange(EXAMPLES) + 1) % CLASSES},
            "less than guessing",
            id="labels that are shifted",
        ),
        pytest.param({"x": np.zeros((EXAMPLES, 3), np.float32)}, "is expected", id="another shape"),
    ],
)
def test_data_that_cannot_judge_is_refused(
    workshop: Any, changes: dict[str, Any], said: str
) -> None:
    summary = build(workshop, examples(**changes))

    assert ("Failed", "InvalidDataset") == (summary.outcome, summary.reason)
    assert summary.message.startswith("data: ")
    assert said in summary.message


def test_too_few_examples_are_refused_with_the_number_needed(workshop: Any) -> None:
    summary = build(workshop, examples(), maxDrop="0.5")

    assert "InvalidDataset" == summary.reason
    assert "it takes 598 to show" in summary.message


def test_without_labels_an_accuracy_cannot_be_judged(workshop: Any) -> None:
    rows = np.random.default_rng(1).normal(size=(EXAMPLES, FEATURES)).astype(np.float32)
    file = io.BytesIO()
    np.savez(file, x=rows)

    summary = build(workshop, file.getvalue())

    assert "InvalidDataset" == summary.reason
    assert "no array labels, which the metric Accuracy needs" in summary.message
