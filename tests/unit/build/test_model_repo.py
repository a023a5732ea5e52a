"""model_repo/ is what the builder makes today, measured times aside."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dlagent.domain.artifact.layout import file_table
from dlagent.domain.artifact.manifest import Manifest

FOLDER = Path(__file__).parents[3] / "model_repo"
REMEDY = "run `python model_repo/make.py` and commit what it changes"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_repo_make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    maker.make(out)
    return out


def untimed(path: Path) -> Any:
    """A manifest or report without what is measured, and without what follows from that."""
    content = json.loads(path.read_text())
    content.pop("stageSeconds", None)
    content["tau"] = [point["batch"] for point in content["tau"]]
    for measured in ("parityLargestError", "machine"):
        content.pop(measured, None)
    content["candidates"] = [
        {name: each.get(name) for name in ("name", "optimisation", "base", "options")}
        for each in content.get("candidates", [])
    ]
    content.get("files", {}).pop("report.json", None)
    for output in content.get("selfCheck", {}).get("outputs", []):
        output["head"] = len(output["head"])
    return content


@pytest.mark.parametrize("name", ["model/1/model.onnx", "model/config.pbtxt"])
def test_the_model_is_the_same_byte_for_byte(made: Path, name: str) -> None:
    assert (FOLDER / name).read_bytes() == (made / name).read_bytes(), REMEDY


@pytest.mark.parametrize("name", ["manifest.json", "report.json"])
def test_the_manifest_and_the_report_say_the_same(made: Path, name: str) -> None:
    assert untimed(FOLDER / name) == untimed(made / name), REMEDY


def test_the_golden_output_is_the_same(made: Path) -> None:
    """Within what machines differ by: other vector instructions add in another order."""
    ours, theirs = (
        Manifest.model_validate_json((folder / "manifest.json").read_bytes()).self_check.outputs
        for folder in (FOLDER, made)
    )

    for expected, actual in zip(ours, theirs, strict=True):
        assert expected.head == pytest.approx(actual.head, rel=1e-5), REMEDY


def test_the_artifact_is_all_that_its_manifest_names_and_small() -> None:
    manifest = Manifest.model_validate_json((FOLDER / "manifest.json").read_bytes())
    table = file_table((FOLDER / "manifest.json").read_bytes(), manifest.key)

    for path, entry in table.items():
        assert entry.size_bytes == (FOLDER / path).stat().st_size
    assert sum(entry.size_bytes for entry in table.values()) < 300_000


def test_every_file_is_explained() -> None:
    readme = (FOLDER / "README.md").read_text()
    files = [
        str(path.relative_to(FOLDER))
        for path in FOLDER.rglob("*")
        if path.is_file() and path.name != "README.md" and "__pycache__" not in path.parts
    ]

    assert [] == [name for name in files if f"`{name}`" not in readme]
