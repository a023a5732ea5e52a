"""Whole builds with Python steps: what is in the artifact, what it answers, how it may fail."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlagent.api.types import Build
from dlagent.domain.artifact.layout import is_served
from dlagent.domain.artifact.optimise import optimise_of
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES, golden_input
from dlagent.domain.artifact.summary import parse_summary

Json = dict[str, Any]
SENT = [{"name": "text", "dataType": "UINT8", "shape": [2, 4]}]
HALVE = """
import numpy as np

def step(inputs):
    return {"x": inputs["text"].astype(np.float32).sum(axis=1) / 2}
"""
NAME = """
import numpy as np

def step(inputs):
    best = inputs["y"].argmax(axis=1)
    return {"best": best[:, None], "name": np.array(["abcd"[i] for i in best], object)[:, None]}
"""


def python(*outputs: tuple[str, str, list[int]]) -> Json:
    described = [{"name": n, "dataType": t, "shape": s} for n, t, s in outputs]
    return {"python": {"configMapRef": {"name": "c", "key": "k"}, "outputs": described}}


PERCEIVE = [python(("x", "FP32", [4]))]
ACT = [python(("best", "INT64", [1]), ("name", "BYTES", [1]))]
BOTH: Json = {
    "inputs": SENT,
    "perceive": PERCEIVE,
    "act": ACT,
    "scripts": {"perceive": HALVE, "act": NAME},
}


def files(workshop: Any, key: str | None) -> dict[str, bytes]:
    root = workshop.store_root / f"artifacts/{key}"
    paths = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def tensors(found: Any) -> list[tuple[str, str, list[int]]]:
    return [(t.name, str(t.data_type), t.shape) for t in found]


def test_an_ensemble_with_a_script_at_both_ends(workshop: Any, double: Any) -> None:
    workshop.put(double())

    summary = workshop.build(**BOTH)

    assert "Published" == summary.outcome, summary.message
    assert [("text", "UINT8", [2, 4])] == tensors(summary.interface.inputs)
    answer = [("best", "INT64", [1]), ("name", "BYTES", [1])]
    assert answer == tensors(summary.interface.outputs)
    assert [("x", "FP32", [4])] == tensors(summary.interface.network.inputs)
    assert [("y", "FP32", [4])] == tensors(summary.interface.network.outputs)
    found = files(workshop, summary.key)
    assert {
        "model/config.pbtxt",
        "model/1/README",
        *(f"{name}/config.pbtxt" for name in ("perceive_", "decide_", "act_")),
        *(f"{name}/1/{file}" for name in ("perceive_", "act_") for file in ("model.py", "step.py")),
        "decide_/1/model.onnx",
    } == set(filter(is_served, found))
    assert HALVE.encode() == found["perceive_/1/step.py"]
    assert NAME.encode() == found["act_/1/step.py"]
    assert summary.size_bytes == sum(len(found[path]) for path in filter(is_served, found))


def test_the_golden_answer_is_that_of_the_scripts(workshop: Any, double: Any) -> None:
    workshop.put(double())

    summary = parse_summary(workshop.build(**BOTH).to_message())

    assert summary is not None
    check = summary.self_check
    assert check is not None
    sent = golden_input(check.seed, check.inputs[0])
    best = int(sent.astype(np.float32).sum(axis=1).argmax(axis=1)[0])
    assert [[best], ["abcd"[best]]] == [output.head for output in check.outputs]
    assert np.dtype(np.uint8) == NUMPY_TYPES[check.inputs[0].data_type]


@pytest.mark.parametrize(
    ("request_", "kept"),
    [
        pytest.param({"act": ACT, "scripts": {"act": NAME}}, {"decide_", "act_"}, id="act alone"),
        pytest.param(
            {"inputs": SENT, "perceive": PERCEIVE, "scripts": {"perceive": HALVE}},
            {"perceive_", "decide_"},
            id="perceive alone",
        ),
        pytest.param(
            {
                "inputs": SENT,
                "perceive": [
                    python(("raw", "FP32", [4])),
                    {"scale": {"multiply": 2}, "input": "raw"},
                ],
                "act": [{"softmax": {}}, python(("best", "INT64", [1]), ("name", "BYTES", [1]))],
                "scripts": {
                    "perceive": HALVE.replace('"x"', '"raw"'),
                    "act": NAME.replace('"y"', '"probabilities"'),
                },
            },
            {"perceive_", "decide_", "act_"},
            id="with fused steps between them",
        ),
    ],
)
def test_scripts_and_fused_steps(
    workshop: Any, double: Any, request_: Json, kept: set[str]
) -> None:
    workshop.put(double())

    summary = workshop.build(**request_)

    assert "Published" == summary.outcome, summary.message
    served = {path.partition("/")[0] for path in filter(is_served, files(workshop, summary.key))}
    assert kept == served - {"model"}


def test_what_the_script_says_decides_the_artifact_and_where_it_lies_does_not(
    workshop: Any, double: Any
) -> None:
    workshop.put(double())
    elsewhere = json.loads(json.dumps(BOTH).replace('"name": "c"', '"name": "other"'))
    changed = BOTH | {"scripts": {"perceive": HALVE.replace("/ 2", "/ 4"), "act": NAME}}

    first, same, other = (workshop.build(**each) for each in (BOTH, elsewhere, changed))

    assert ["Published", "Cached", "Published"] == [s.outcome for s in (first, same, other)]
    assert first.key == same.key != other.key


def test_examples_are_what_clients_send(workshop: Any, double: Any) -> None:
    workshop.put(double())
    pictures = np.random.default_rng(0).integers(0, 255, (4000, 2, 4), np.uint8)
    labels = pictures.astype(int).sum(axis=1).argmax(axis=1)
    np.savez(workshop.claim / "data.npz", text=pictures, labels=labels)

    dataset = {"uri": "pvc://models/data.npz", "sha256": sha256(workshop.claim / "data.npz")}
    wanted = optimise_of(Build.model_validate({"dataset": dataset}))

    summary = workshop.build(**BOTH, optimise=wanted)

    assert "Published" == summary.outcome, summary.message
    assert ("Accuracy", "1.0000") == (summary.metric, summary.baseline)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


FAILS = [
    ("no script", None, "the script was not given"),
    ("a syntax error", "def step(:\n", "the script cannot be imported: line 1: SyntaxError"),
    ("an import that fails", "import numpy\n\nimport nowhere", "line 3: ModuleNotFoundError"),
    ("no function", "x = 1", "the script has no function step; define step(inputs)"),
    (
        "an error at a call",
        "def step(inputs):\n    return {'x': 1 / 0}",
        "line 2: ZeroDivisionError: division by zero",
    ),
    ("the end of Python", "def step(inputs):\n    raise SystemExit(0)", "SystemExit: 0"),
    (
        "the end of the process",
        "import os\ndef step(inputs):\n    os._exit(0)",
        "its process ended with the exit code 0",
    ),
    ("no dict", "def step(inputs):\n    return 1", "step gives int; it must give a dict with"),
    ("another name", "def step(inputs):\n    return {'z': 1}", "step gives ['z']; it must give"),
    ("no array", "def step(inputs):\n    return {'x': [1]}", "x is a list; make a numpy array"),
    (
        "another shape",
        "def step(inputs):\n    return {'x': inputs['text'][:, 0, :2]}",
        "x has the shape [3, 2] where [3, 4] was expected (the batch first)",
    ),
    (
        "another type",
        "def step(inputs):\n    return {'x': inputs['text'][:, 0] * 0.5}",
        "x has the type float64, it is declared as FP32; write .astype(np.float32)",
    ),
    (
        "rows that are mixed",
        HALVE + "\nold = step\ndef step(i):\n    x = old(i)['x']\n    return {'x': x - x.mean(0)}",
        "the output x for an example is another one when others are in its batch",
    ),
]


@pytest.mark.parametrize(
    ("script", "message"), [row[1:] for row in FAILS], ids=[row[0] for row in FAILS]
)
def test_a_script_that_fails_is_told_of(
    workshop: Any, double: Any, script: str | None, message: str
) -> None:
    workshop.put(double())
    scripts = {"perceive": script, "act": NAME}

    summary = workshop.build(**BOTH | {"scripts": scripts})

    assert ("Failed", "PythonStepFailed") == (summary.outcome, summary.reason), summary.message
    assert summary.message.startswith("load: spec.perceive[0].python: ") or "export:" in (
        summary.message
    )
    assert message in summary.message


def test_outputs_that_the_network_does_not_take_are_told_of(workshop: Any, double: Any) -> None:
    workshop.put(double())

    summary = workshop.build(**BOTH | {"perceive": [python(("x", "FP32", [5]))]})

    assert "ShapeMismatch" == summary.reason
    assert "the input x is declared as FP32 [5], the network has FP32 [4]" in summary.message
    assert "stand the outputs of spec.perceive[0].python here" in summary.message


def test_what_clients_send_must_be_declared(workshop: Any, double: Any) -> None:
    workshop.put(double())

    summary = workshop.build(**BOTH | {"inputs": None})

    assert "ShapeMismatch" == summary.reason
    assert "declare spec.model.inputs" in summary.message


def test_an_input_and_an_output_of_one_name(workshop: Any, double: Any) -> None:
    workshop.put(double())
    scripts = {"perceive": HALVE, "act": NAME.replace('"best"', '"text"')}
    act = [python(("text", "INT64", [1]), ("name", "BYTES", [1]))]

    summary = workshop.build(**BOTH | {"act": act, "scripts": scripts})

    assert "ShapeMismatch" == summary.reason
    assert "would be called text" in summary.message
