"""The table of files in a manifest is believed only where it makes sense."""

import json
from typing import Any

import pytest

from dlagent.domain.artifact.layout import (
    FileEntry,
    ManifestError,
    artifact_path,
    file_table,
    staging_path,
)

FILES = {
    "model/config.pbtxt": {"sha256": "a", "sizeBytes": 1},
    "model/1/model.onnx": {"sha256": "b", "sizeBytes": 2},
}


def manifest(**changes: Any) -> bytes:
    return json.dumps({"key": "k", "files": FILES, **changes}).encode()


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


def test_paths() -> None:
    assert "artifacts/k" == artifact_path("k")
    assert "staging/k.r" == staging_path("k", "r")
