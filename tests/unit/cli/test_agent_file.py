"""An agent in a file is taken as a cluster would take it, or refused with the field's path."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dlagent.cli.agent_file import read_agent
from dlagent.cli.errors import CliError

SHA256 = "0" * 64
DATASET = {"uri": "pvc://models/examples.npz", "sha256": SHA256}


def agent(spec: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    """A good agent, but for these fields."""
    return {
        "apiVersion": "dlagent.io/v1alpha1",
        "kind": "DLAgent",
        "metadata": {"name": "test"},
        "spec": {
            "model": {"source": {"uri": "pvc://models/net.onnx"}},
            "slo": {"latency": {"thresholdMilliseconds": 50}},
            **(spec or {}),
        },
        **top,
    }


def written(folder: Path, content: bytes | dict[str, Any]) -> Path:
    file = folder / "agent.yaml"
    file.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode())
    return file


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param(
            {"acts": []}, "spec.acts: there is no such field; here can be model, ", id="acts"
        ),
        pytest.param(
            {"act": [{"sofmax": {}}]},
            "spec.act[0].sofmax: there is no such field; here can be output, softmax, ",
            id="a misspelt step",
        ),
        pytest.param(
            {"build": {"dataset": DATASET, "gate": {"metrik": "F1"}}},
            "spec.build.gate.metrik: there is no such field; here can be metric, k, ",
            id="a misspelt field far down",
        ),
        pytest.param(
            {"build": {"timeout_minutes": 5}},
            "spec.build.timeout_minutes: there is no such field",
            id="a field as Python names it",
        ),
        pytest.param(
            {"act": [{"softmax": {}, "sigmoid": {}}]},
            "spec.act[0]: exactly one of softmax, sigmoid, ",
            id="two steps in one of act",
        ),
        pytest.param(
            {"perceive": [{"input": "x"}]},
            "spec.perceive[0]: exactly one of scale, ",
            id="no step in one of perceive",
        ),
        pytest.param(
            {"build": {"dataset": {"uri": "pvc://models/examples.npz"}}},
            "spec.build.dataset.sha256: must be set: ",
            id="a data set without its digest",
        ),
        pytest.param(
            {
                "build": {
                    "dataset": DATASET,
                    "distill": {"student": {"uri": "pvc://models/small.pt2"}},
                }
            },
            "spec.build.distill.student.sha256: must be set: ",
            id="a student without its digest",
        ),
        pytest.param(
            {"build": {"precision": "INT8"}},
            "spec.build.dataset: must be set for precision FP16 or INT8, ",
            id="INT8 without a data set",
        ),
        pytest.param(
            {"build": {"prune": {"channelsPercent": 10}}},
            "spec.build.dataset: must be set for precision FP16 or INT8, prune, ",
            id="pruning without a data set",
        ),
        pytest.param(
            {"build": {"dataset": DATASET, "gate": {"metric": "TopK"}}},
            "spec.build.gate.k: must be set with metric: TopK ",
            id="TopK without k",
        ),
        pytest.param(
            {"build": {"dataset": DATASET, "gate": {"metric": "MaxAbsError"}}},
            "spec.build.gate.maxAbsError: must be set with metric: MaxAbsError ",
            id="MaxAbsError without its bound",
        ),
        pytest.param(
            {
                "build": {
                    "dataset": DATASET,
                    "gate": {"metric": "MaxAbsError", "maxAbsError": 1, "maxDropPercent": 1},
                }
            },
            "spec.build.gate.maxDropPercent: has no meaning with metric: MaxAbsError",
            id="points of an error",
        ),
        pytest.param(
            {"scaling": {"minReplicas": 5, "maxReplicas": 2}},
            "spec.scaling.maxReplicas: must not be below minReplicas",
            id="more replicas at least than at most",
        ),
        pytest.param({"slo": {}}, "spec.slo.latency: Field required", id="a field is missing"),
    ],
)
def test_what_a_cluster_refuses_is_refused(tmp_path: Path, spec: Any, why: str) -> None:
    file = written(tmp_path, agent(spec))

    with pytest.raises(CliError) as refusal:
        read_agent(file, dataset_apart=False)

    assert str(refusal.value).startswith(f"{file}: {why}")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"\xff\xfe\x00", " is not a DLAgent in YAML: it is not UTF-8", id="no text"),
        pytest.param(b"a: [", " is not a DLAgent in YAML: while parsing", id="no YAML"),
        pytest.param(b"", " is not a DLAgent in YAML: it has no fields", id="nothing"),
        pytest.param(b"[1, 2]", " is not a DLAgent in YAML: it has no fields", id="a list"),
        pytest.param(
            b"apiVersion: v1\nkind: Pod\n",
            ": kind: must be DLAgent, and is Pod",
            id="another kind, which has no spec",
        ),
        pytest.param(
            agent(kind="Deployment"),
            ": kind: must be DLAgent, and is Deployment",
            id="another kind",
        ),
        pytest.param(
            agent(apiVersion="dlagent.io/v1"),
            ": apiVersion: must be dlagent.io/v1alpha1, and is dlagent.io/v1",
            id="another version",
        ),
        pytest.param(agent(act=[]), ": act: there is no such field", id="a field beside spec"),
        pytest.param(agent() | {"spec": None}, ": spec: must be set", id="no spec"),
    ],
)
def test_what_is_no_agent_is_refused(
    tmp_path: Path, content: bytes | dict[str, Any], why: str
) -> None:
    file = written(tmp_path, content)

    with pytest.raises(CliError) as refusal:
        read_agent(file, dataset_apart=False)

    assert str(refusal.value).startswith(f"{file}{why}")
    assert "\n" not in str(refusal.value)


def test_what_a_cluster_takes_is_taken(tmp_path: Path) -> None:
    """Also where it is written in another way than it is kept, and where users choose the names."""
    spec = {
        "act": [{"output": "y", "softmax": {}}, {"topK": {"k": 2}}],
        "build": {"dataset": DATASET, "resources": {"limits": {"cpu": 1}}},
        "serving": {"podLabels": {"team": "shoes"}, "accelerator": None},
    }

    read = read_agent(
        written(tmp_path, agent(spec, status={"phase": "Ready"})), dataset_apart=False
    )

    assert ["softmax", "top_k"] == [
        next(name for name in ("softmax", "top_k") if getattr(step, name) is not None)
        for step in read.act
    ]


def test_the_data_set_may_be_named_elsewhere(tmp_path: Path) -> None:
    file = written(tmp_path, agent({"build": {"precision": "INT8"}}))

    assert "INT8" == read_agent(file, dataset_apart=True).build.precision
