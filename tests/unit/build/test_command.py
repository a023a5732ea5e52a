"""`dlagent build`: the same build without a cluster, and what it says to a person."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto
from typer.testing import CliRunner

from dlagent.cli.build import app
from dlagent.cli.errors import CliError
from dlagent.domain.artifact.layout import file_table
from dlagent.domain.artifact.manifest import Manifest
from tests.unit.report import examples

AGENT = """
apiVersion: dlagent.io/v1alpha1
kind: DLAgent
metadata: {name: test}
spec:
  model: {source: {uri: "pvc://models/net.onnx"}}
  act: [{argmax: {}}]
  slo: {latency: {thresholdMilliseconds: 50}}
"""


@pytest.fixture
def here(workshop: Any, double: Callable[..., ModelProto], tmp_path: Path) -> Path:
    workshop.put(double())
    (tmp_path / "agent.yaml").write_text(AGENT)
    return tmp_path


def run(*arguments: object) -> None:
    """Errors come out as main.py sees them."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert 0 == result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "outputs"),
    [
        pytest.param(["--source", "sources/models/net.onnx"], ["y"], id="a model file"),
        pytest.param(
            ["-f", "agent.yaml", "--source-root", "sources"], ["index"], id="an agent and volumes"
        ),
        pytest.param(
            ["-f", "agent.yaml", "--source", "sources/models/net.onnx"],
            ["index"],
            id="an agent with another file",
        ),
    ],
)
def test_the_folder_holds_the_artifact(
    here: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], outputs: list[str]
) -> None:
    monkeypatch.chdir(here)

    run(*arguments, "--out", "out/repository")

    text = (here / "out/repository/manifest.json").read_bytes()
    manifest = Manifest.model_validate_json(text)
    assert outputs == [tensor.name for tensor in manifest.interface.outputs]
    for path, entry in file_table(text, manifest.key).items():
        assert entry.size_bytes == (here / "out/repository" / path).stat().st_size


SCRIPTED = AGENT.replace(
    "act: [{argmax: {}}]",
    """act:
  - python:
      configMapRef: {name: steps, key: act.py}
      outputs: [{name: sum, dataType: FP32, shape: [1]}]""",
)
SCRIPT = "def step(inputs):\n    return {'sum': inputs['y'].sum(axis=1, keepdims=True)}\n"


@pytest.mark.parametrize(
    ("folder", "options"),
    [
        pytest.param(".", [], id="beside the agent's file"),
        pytest.param("steps", ["--scripts", "steps"], id="in a folder that is named"),
    ],
)
def test_scripts_are_files_named_as_their_keys(
    here: Path, monkeypatch: pytest.MonkeyPatch, folder: str, options: list[str]
) -> None:
    monkeypatch.chdir(here)
    (here / folder).mkdir(exist_ok=True)
    (here / folder / "act.py").write_text(SCRIPT)
    (here / "scripted.yaml").write_text(SCRIPTED)

    run("-f", "scripted.yaml", "--source-root", "sources", *options, "--out", "out")

    assert SCRIPT == (here / "out/act_/1/step.py").read_text()
    run("--report", "out/report.json", "--source-root", "sources", "--out", "again")
    assert (here / "out/act_/1/step.py").read_text() == (here / "again/act_/1/step.py").read_text()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        pytest.param(None, "act.py: No such file or directory; see --scripts", id="no file"),
        pytest.param(b"\xff", "act.py is not UTF-8", id="no text"),
        pytest.param(b"#" * 40_000, "has 40,002 bytes .as JSON.", id="too large"),
    ],
)
def test_a_script_that_cannot_be_read_is_told_of(
    here: Path, monkeypatch: pytest.MonkeyPatch, script: bytes | None, why: str
) -> None:
    monkeypatch.chdir(here)
    (here / "scripted.yaml").write_text(SCRIPTED)
    if script is not None:
        (here / "act.py").write_bytes(script)

    with pytest.raises(CliError, match=why):
        run("-f", "scripted.yaml", "--source-root", "sources", "--out", "out")


def test_a_report_is_enough_to_build_the_same_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    run("-f", "agent.yaml", "--source-root", "sources", "--out", "first")
    first = Manifest.model_validate_json((here / "first/manifest.json").read_bytes())
    write_report(here, request=json.loads((here / "first/report.json").read_bytes())["request"])

    run("--report", "report.json", "--source-root", "sources", "--out", "again")

    again = Manifest.model_validate_json((here / "again/manifest.json").read_bytes())
    assert first.key == again.key


def test_another_source_than_the_reports_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    write_report(here, sha256="0" * 64)

    with pytest.raises(CliError, match="DigestMismatch"):
        run("--report", "report.json", "--source", "sources/models/net.onnx", "--out", "again")


def write_report(here: Path, **changes: Any) -> None:
    """A report of the model of these tests."""
    made = examples.report()
    source = (here / "sources/models/net.onnx").read_bytes()
    sha256 = changes.get("sha256", hashlib.sha256(source).hexdigest())
    update = {
        "source": made.source.model_copy(update={"sha256": sha256}),
        "request": changes.get("request", made.request),
    }
    (here / "report.json").write_text(made.model_copy(update=update).to_json())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param([], "give a model by --source", id="nothing given"),
        pytest.param(["-f", "agent.yaml"], "must say where pvc://models/net.onnx is", id="no root"),
        pytest.param(["-f", "no.yaml"], "no.yaml: No such file", id="no agent file"),
        pytest.param(["-f", "bad.yaml"], "bad.yaml: spec.slo: Field required", id="a bad agent"),
        pytest.param(["-f", "list.yaml"], "is not a DLAgent in YAML", id="another YAML"),
        pytest.param(["--report", "no.json"], "no.json: No such file", id="no report"),
        pytest.param(["--report", "model", "-f", "a.yaml"], "either --report or -f", id="both"),
        pytest.param(["--source", "no.onnx"], "SourceUnavailable: fetch: ", id="no model file"),
        pytest.param(
            ["--source", "https://a.b/net.onnx"],
            "https://a.b/net.onnx is no file on this machine; name it in an agent",
            id="a source on the network",
        ),
        pytest.param(
            ["--source", "net.onnx", "--dataset", "s3://a/b.npz"],
            "s3://a/b.npz is no file on this machine; name it in an agent",
            id="a data set on the network",
        ),
        pytest.param(
            ["-f", "agent.yaml", "--source-root", "nothere"],
            "--source-root: pvc://models/net.onnx is read from the folder nothere/models, which",
            id="no such root",
        ),
    ],
)
def test_what_is_wrong_is_said(
    here: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], why: str
) -> None:
    monkeypatch.chdir(here)
    (here / "bad.yaml").write_text(
        "{apiVersion: dlagent.io/v1alpha1, kind: DLAgent,"
        " spec: {model: {source: {uri: 'pvc://a/b.onnx'}}}}"
    )
    (here / "list.yaml").write_text("[1, 2]")

    with pytest.raises(CliError, match=why):
        run(*arguments, "--out", "out")

    assert not (here / "out").exists()


def test_a_folder_that_cannot_be_written_is_told_of_before_the_build(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)

    with pytest.raises(CliError, match=r"--out agent\.yaml cannot be written: Not a directory"):
        run("--source", "sources/models/net.onnx", "--out", "agent.yaml")

    assert "fetch" not in capsys.readouterr().err


def test_a_single_model_leaves_nothing_of_the_ensemble_that_was_there(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    (here / "act.py").write_text(SCRIPT)
    (here / "scripted.yaml").write_text(SCRIPTED)
    run("-f", "scripted.yaml", "--source-root", "sources", "--out", "out")

    run("--source", "sources/models/net.onnx", "--out", "out")

    assert ["manifest.json", "model", "report.json"] == [
        path.name for path in sorted((here / "out").iterdir())
    ]


JUDGED = """
  build:
    gate: {metric: MaxAbsError, maxAbsError: "0.5"}
    precision: FP32
    prune: {channelsPercent: 0}
    timeBudgetMinutes: 7
"""
IN_THE_FILE = f"""
    dataset: {{uri: "pvc://models/other.npz", sha256: "{"0" * 64}"}}
"""


@pytest.mark.parametrize(
    "agent",
    [
        pytest.param(AGENT + JUDGED, id="where the agent has no data set"),
        pytest.param(AGENT + JUDGED.rstrip() + IN_THE_FILE, id="where the agent has another"),
    ],
)
def test_another_data_set_is_judged_as_the_agent_asks(
    here: Path, monkeypatch: pytest.MonkeyPatch, agent: str
) -> None:
    """By its gate, which needs no labels, in its precision, and within its time."""
    monkeypatch.chdir(here)
    (here / "judged.yaml").write_text(agent)
    rows = np.random.default_rng(3).normal(size=(900, 4)).astype(np.float32)
    np.savez(here / "examples.npz", x=rows)

    options = ("--source-root", "sources", "--dataset", "examples.npz")
    run("-f", "judged.yaml", *options, "--out", "out")

    asked = json.loads((here / "out/report.json").read_bytes())["request"]
    wanted = asked["optimise"]
    assert ("MaxAbsError", "0.5") == (wanted["metric"], wanted["maxDrop"])
    assert ("FP32", 0, 7) == (
        wanted["precision"],
        wanted["channelsPercent"],
        wanted["timeBudgetMinutes"],
    )
    assert wanted["dataset"]["uri"].endswith("/examples.npz")
    assert 420 == asked["searchSeconds"]
