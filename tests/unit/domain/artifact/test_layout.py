"""The table of files in a manifest is believed only where it makes sense."""

import json
from typing import Any

import pytest

from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.layout import (
    FileEntry,
    ManifestError,
    artifact_path,
    file_table,
    is_of_an_artifact,
    is_served,
    member_files,
    model_files,
    network_path,
    staging_path,
)

FILES = {
    "model/config.pbtxt": {"sha256": "a", "sizeBytes": 1},
    "model/1/model.onnx": {"sha256": "b", "sizeBytes": 2},
}


def manifest(**changes: Any) -> bytes:
    return json.dumps({"key": "k", "files": FILES, **changes}).encode()


def named(path: str) -> bytes:
    return manifest(files=FILES | {path: FILES["model/1/model.onnx"]})


def test_a_good_table() -> None:
    assert {
        "model/config.pbtxt": FileEntry("a", 1),
        "model/1/model.onnx": FileEntry("b", 2),
    } == file_table(manifest(), "k")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(b"", "cannot be read", id="empty"),
        pytest.param(manifest()[:-5], "cannot be read", id="cut"),
        pytest.param(b"\xff\xfe\x00", "cannot be read", id="not text"),
        pytest.param(b"[]", "cannot be read", id="another JSON value"),
        pytest.param(manifest(files=[1]), "cannot be read", id="files of another type"),
        pytest.param(manifest(key="other"), "another artifact", id="of another key"),
        pytest.param(manifest(files={}), "names no model", id="no model"),
        pytest.param(
            manifest(files={"model/config.pbtxt": FILES["model/config.pbtxt"]}),
            "names no model",
            id="no network",
        ),
        pytest.param(named("a/../x"), "outside", id="up and down again"),
        pytest.param(named("./x"), "outside", id="a second spelling"),
        pytest.param(named("a//x"), "outside", id="an empty part"),
        pytest.param(named("a/"), "outside", id="a folder"),
        pytest.param(named(""), "outside", id="nothing"),
        pytest.param(named("a\0b"), "outside", id="a zero byte"),
        pytest.param(named("manifest.json"), "beside", id="the manifest itself"),
        pytest.param(named("model/1"), "beside", id="a file where a folder must be"),
        pytest.param(
            manifest(files=FILES | {"../x": FILES["model/1/model.onnx"]}), "outside", id="above"
        ),
        pytest.param(
            manifest(files=FILES | {"/etc/x": FILES["model/1/model.onnx"]}), "outside", id="root"
        ),
    ],
)
def test_what_cannot_be_believed_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        file_table(text, "k")


def test_any_other_file_may_be_in_it_and_tritons_are_those_below_model() -> None:
    more = {"report.html": {"sha256": "c", "sizeBytes": 3}}
    deeper = {"model/some/folder/file": {"sha256": "d", "sizeBytes": 4}}

    table = file_table(manifest(files=FILES | more | deeper), "k")

    assert FileEntry("c", 3) == table["report.html"]
    assert {*FILES, *deeper} == model_files(table).keys()
    assert {} == member_files(table)
    assert not is_served("report.html")


def test_an_ensemble_has_its_network_in_a_member() -> None:
    paths = ["model/config.pbtxt", "decide_/config.pbtxt", "decide_/1/model.onnx", "act_/1/step.py"]
    table = file_table(manifest(files=dict.fromkeys(paths, FILES["model/1/model.onnx"])), "k")

    assert {"model/config.pbtxt"} == model_files(table).keys()
    assert {
        "decide_": {"decide_/config.pbtxt", "decide_/1/model.onnx"},
        "act_": {"act_/1/step.py"},
    } == {name: set(files) for name, files in member_files(table).items()}
    assert all(map(is_served, paths))


@pytest.mark.parametrize(
    ("engine", "is_member", "path"),
    [
        (Engine.ONNX_RUNTIME, False, "model/1/model.onnx"),
        (Engine.ONNX_RUNTIME, True, "decide_/1/model.onnx"),
        (Engine.TENSORRT, False, "model/1/model.plan"),
        (Engine.TENSORRT, True, "decide_/1/model.plan"),
    ],
)
def test_a_network_is_where_triton_looks_for_it(engine: Engine, is_member: bool, path: str) -> None:
    assert path == network_path(engine, is_member)
    assert is_of_an_artifact(path)
    files = {"model/config.pbtxt": FILES["model/config.pbtxt"], path: FILES["model/1/model.onnx"]}
    assert path in file_table(manifest(files=files), "k")


def test_paths() -> None:
    assert "artifacts/k" == artifact_path("k")
    assert "staging/k.r" == staging_path("k", "r")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("model/1/model.onnx", True),
        ("model/config.pbtxt", True),
        ("report.json", True),
        ("report.html", True),
        ("report.png", True),
        ("decide_/1/model.onnx", True),
        ("act_/1/step.py", True),
        ("decide_/1/model.py", False),
        ("manifest.json", False),
        ("model/1/model.py", False),
        ("model/1/../1/model.onnx", False),
        ("/report.json", False),
        ("../report.json", False),
    ],
)
def test_a_build_gives_an_artifact_these_files_and_no_others(path: str, expected: bool) -> None:
    assert expected is is_of_an_artifact(path)
