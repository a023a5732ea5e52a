"""`dlagent build`: the same build without a cluster, and what it says to a person."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto
from typer.testing import CliRunner

from dlagent.cli.build import app
from dlagent.cli.errors import CliError
from dlagent.domain.artifact.layout import file_table
from dlagent.domain.artifact.manifest import Manifest

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


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param([], "give a model by --source", id="nothing given"),
        pytest.param(["-f", "agent.yaml"], "must say where pvc://models/net.onnx is", id="no root"),
        pytest.param(["-f", "no.yaml"], "no.yaml: No such file", id="no agent file"),
        pytest.param(["-f", "bad.yaml"], "bad.yaml: spec.slo: Field required", id="a bad agent"),
        pytest.param(["-f", "list.yaml"], "is not a DLAgent", id="another YAML"),
        pytest.param(["--source", "no.onnx"], "SourceUnavailable: fetch: ", id="no model file"),
    ],
)
def test_what_is_wrong_is_said(
    here: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], why: str
) -> None:
    monkeypatch.chdir(here)
    (here / "bad.yaml").write_text("spec: {model: {source: {uri: 'pvc://a/b.onnx'}}}")
    (here / "list.yaml").write_text("[1, 2]")

    with pytest.raises(CliError, match=why):
        run(*arguments, "--out", "out")

    assert not (here / "out").exists()
