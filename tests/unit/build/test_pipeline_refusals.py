"""Whole builds of bad input: how each of them is told."""

import errno
import io
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from dlagent.adapters.store import Disk, FolderStore
from tests.unit.build.refused import assert_refused

Make = Callable[..., ModelProto]


def pickled_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({"a": 1}))
    return buffer.getvalue()


def damaged(double: Make, what: str) -> ModelProto:
    model = double()
    node = model.graph.node[0]
    if what == "custom operator":
        node.op_type, node.domain = "Frobnicate", "com.example"
        model.opset_import.append(helper.make_opsetid("com.example", 1))
    elif what == "unknown operator":
        node.op_type = "Frobnicate"
    elif what == "runtime's own unknown operator":
        node.op_type, node.domain = "Frobnicate", "com.microsoft"
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    elif what == "dangling":
        node.input[0] = "nothing"
    elif what == "future opset":
        model.opset_import[0].version = 99
    elif what == "future ir":
        model.ir_version = 12
    return model


@pytest.mark.parametrize(
    ("what", "reason", "why"),
    [
        ("custom operator", "UnsupportedOperator", "com.example::Frobnicate"),
        ("unknown operator", "UnsupportedOperator", "operator Frobnicate"),
        ("runtime's own unknown operator", "UnsupportedOperator", "Frobnicate"),
        ("dangling", "InvalidModel", "checker refuses"),
        ("future opset", "InvalidModel", "opset 99, and Triton 24.10 knows up to 21"),
        ("future ir", "InvalidModel", "IR version 12"),
    ],
)
def test_a_model_that_cannot_be_served_is_refused(
    workshop: Any, double: Make, what: str, reason: str, why: str
) -> None:
    workshop.put(damaged(double, what))

    assert_refused(workshop, workshop.build(), reason, why, "load")


@pytest.mark.parametrize(
    ("name", "data", "reason", "why"),
    [
        pytest.param("net.onnx", b"", "InvalidModel", "not an ONNX file", id="empty"),
        pytest.param("net.onnx", b"hello world", "InvalidModel", "not an ONNX file", id="text"),
        pytest.param(
            "net.onnx", pickle.dumps({"a": 1}), "PickleRefused", "torch.export.save", id="pickle"
        ),
        pytest.param(
            "net.pt2", pickled_archive(), "PickleRefused", "any code", id="pickle in an archive"
        ),
        pytest.param("net.pt", b"anything", "PickleRefused", "torch.export", id="name of a pickle"),
        pytest.param("net.pt2", b"PK\x03\x04cut", "InvalidModel", "cut", id="cut archive"),
        pytest.param("net.pt2", b"not a zip", "InvalidModel", "not an archive", id="no archive"),
        pytest.param("net.onnx", b"PK\x03\x04", "InvalidModel", "zip archive", id="wrong format"),
        pytest.param("net", b"x", "InvalidModel", "set spec.model.format", id="no suffix"),
    ],
)
def test_a_file_that_is_no_model_is_refused(
    workshop: Any, name: str, data: bytes, reason: str, why: str
) -> None:
    workshop.put(data, name)

    assert_refused(workshop, workshop.build(name), reason, why, "load")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_model_is_refused(workshop: Any, make_model: Make, kept: float) -> None:
    model = make_model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": ["n", 100]},
        {"y": ["n", 100]},
        {"w": np.eye(100)},
    )
    data = model.SerializeToString()
    workshop.put(data[: int(len(data) * kept)])

    assert_refused(workshop, workshop.build(), "InvalidModel", "", "load")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param(
            {"inputs": [{"name": "x", "dataType": "FP32", "shape": [5]}]},
            r"x is declared as FP32 \[5\], the network has FP32 \[4\]",
            id="another size",
        ),
        pytest.param(
            {"inputs": [{"name": "x", "dataType": "UINT8", "shape": [4]}]},
            "declared as UINT8",
            id="another type",
        ),
        pytest.param(
            {"inputs": [{"name": "z", "dataType": "FP32", "shape": [4]}]},
            r"declares the inputs \['z'\], the network has \['x'\]",
            id="another name",
        ),
        pytest.param(
            {"outputs": [{"name": "y", "dataType": "FP32", "shape": [2, 2]}]},
            "the output y is declared",
            id="another shape of the output",
        ),
        pytest.param(
            {"perceive": [{"reshape": {"shape": [2, 2]}}]},
            r"perceive makes FP32 \[2, 2\], the network's input x takes FP32 \[4\].*declare",
            id="perceive makes another shape",
        ),
        pytest.param(
            {"perceive": [{"cast": {"dataType": "FP16"}}]},
            "perceive makes FP16",
            id="perceive makes another type",
        ),
        pytest.param({"act": [{"topK": {"k": 5}}]}, "k must be between 1 and 4", id="k too large"),
        pytest.param(
            {"act": [{"topK": {"k": 2}}, {"softmax": {}}]},
            "cannot follow argmax or topK",
            id="after topK",
        ),
    ],
)
def test_shapes_that_do_not_match_are_named(
    workshop: Any, double: Make, fields: dict[str, Any], why: str
) -> None:
    workshop.put(double())

    assert_refused(workshop, workshop.build(**fields), "ShapeMismatch", why, "fuse")


def test_steps_on_an_old_model_are_refused(workshop: Any, double: Make) -> None:
    workshop.put(double(opset=9))

    refused = workshop.build(act=[{"softmax": {}}])
    assert_refused(workshop, refused, "InvalidModel", "version_converter", "fuse")

    assert "Published" == workshop.build().outcome


@pytest.mark.parametrize(
    ("name", "fields", "reason", "why"),
    [
        ("no.onnx", {}, "SourceUnavailable", "put the file there"),
        ("net.onnx", {"sourceSha256": "0" * 64}, "DigestMismatch", "0000"),
        ("net.onnx", {"maxSourceBytes": 5}, "SourceTooLarge", "limit of 5 bytes"),
        ("../net.onnx", {}, "InvalidPath", "without '..'"),
    ],
)
def test_a_source_that_cannot_be_had_is_told(
    workshop: Any, double: Make, name: str, fields: dict[str, Any], reason: str, why: str
) -> None:
    workshop.put(double())

    assert_refused(workshop, workshop.build(name, **fields), reason, why, "fetch")


def test_text_that_a_network_takes_is_refused(workshop: Any, make_model: Make) -> None:
    identity = helper.make_node("Identity", ["said"], ["again"])
    text = {"said": TensorProto.STRING, "again": TensorProto.STRING}
    workshop.put(make_model([identity], {"said": ["n", 1]}, {"again": ["n", 1]}, types=text))

    refused = workshop.build()

    assert ("Failed", "InvalidModel") == (refused.outcome, refused.reason)
    assert re.search(r"load: .*input said takes text \(BYTES\).*token ids", refused.message)


class FullDisk(Disk):
    def write(self, path: Path, chunks: Iterator[bytes]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_a_full_store_is_told_and_the_next_run_completes(workshop: Any, double: Make) -> None:
    workshop.put(double())

    refused = workshop.build(store=FolderStore(workshop.store_root, FullDisk()))
    assert_refused(workshop, refused, "NoSpace", "enlarge the volume", "publish")

    assert "Published" == workshop.build().outcome


def test_a_full_scratch_is_told(workshop: Any, double: Make) -> None:
    workshop.put(double())
    (workshop.scratch / "source").symlink_to("/dev/full")

    assert_refused(workshop, workshop.build(), "NoSpace", "no space left", "fetch")
