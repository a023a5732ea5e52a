"""ONNX with weights in other files: what is read, what it is called, what is refused."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from dlagent.build.failure import BuildError
from dlagent.build.fetch import Source, joint_digest
from dlagent.build.onnx_source import load_onnx
from dlagent.build.runtime import Session

Make = Callable[..., ModelProto]
WEIGHTS = np.arange(16, dtype=np.float32).reshape(4, 4)
ROW = np.array([[1, 2, 3, 4]], np.float32)


def linear(make_model: Make) -> ModelProto:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return make_model([node], {"x": ["n", 4]}, {"y": ["n", 4]}, {"w": WEIGHTS})


def external(
    make_model: Make, location: str, offset: int | None = None, length: int | None = None
) -> ModelProto:
    """The linear model with its weights elsewhere."""
    model = linear(make_model)
    entries = {"location": location, "offset": offset, "length": length}
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        if value is not None:
            weight.external_data.add(key=key, value=str(value))
    return model


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_weights_beside_the_model_are_taken_into_it(workshop: Any, make_model: Make) -> None:
    model = linear(make_model)
    onnx.save(
        model,
        workshop.claim / "net.onnx",
        save_as_external_data=True,
        location="net.onnx.data",
        size_threshold=0,
    )
    files = [(workshop.claim / name).read_bytes() for name in ("net.onnx", "net.onnx.data")]
    digest = joint_digest([sha256(content) for content in files])

    summary = workshop.build(sourceSha256=digest)

    assert "Published" == summary.outcome, summary.message
    assert digest == summary.source_sha256
    answer = Session(workshop.model_bytes(summary.key)).run({"x": ROW})["y"]
    np.testing.assert_allclose(answer, ROW @ WEIGHTS)


def test_the_joint_digest_is_what_sha256sum_prints_of_the_digests() -> None:
    # printf a > model; printf b > data; sha256sum model data | cut -c -64 | sha256sum
    expected = "bf75fafab8e46555836b92f1b04106b795a9ed36bd39b351f103b28819895f33"
    assert expected == joint_digest([sha256(b"a"), sha256(b"b")])


def test_other_weights_are_another_source(workshop: Any, make_model: Make) -> None:
    workshop.put(external(make_model, "w.bin"))
    (workshop.claim / "w.bin").write_bytes(WEIGHTS.tobytes())
    first = workshop.build()
    (workshop.claim / "w.bin").write_bytes((WEIGHTS * 2).tobytes())

    second = workshop.build()

    assert ("Published", "Published") == (first.outcome, second.outcome), second.message
    assert first.key != second.key
    refused = workshop.build(sourceSha256=first.source_sha256)
    assert "DigestMismatch" == refused.reason


def test_several_files_with_offsets(workshop: Any, make_model: Make) -> None:
    half = WEIGHTS[:2].tobytes()
    nodes = [
        helper.make_node("Concat", ["a", "b"], ["w"], axis=0),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    model = make_model(
        nodes, {"x": ["n", 4]}, {"y": ["n", 4]}, {"a": WEIGHTS[:2], "b": WEIGHTS[2:]}
    )
    for weight, location, offset in zip(
        model.graph.initializer, ("b.bin", "a.bin"), (0, 8), strict=True
    ):
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", offset), ("length", 32)):
            weight.external_data.add(key=key, value=str(value))
    workshop.put(model)
    (workshop.claim / "b.bin").write_bytes(half)
    (workshop.claim / "a.bin").write_bytes(bytes(8) + WEIGHTS[2:].tobytes())

    summary = workshop.build()

    assert "Published" == summary.outcome, summary.message
    answer = Session(workshop.model_bytes(summary.key)).run({"x": ROW})["y"]
    np.testing.assert_allclose(answer, ROW @ WEIGHTS)


BAD_NAMES = ["../w.bin", "/etc/passwd", "a/w.bin", "..", ".", "", "a\\w.bin", "a\0b", "a\nb"]


@pytest.mark.parametrize("location", [pytest.param(name, id=repr(name)) for name in BAD_NAMES])
def test_a_name_that_is_not_a_plain_one_is_refused(
    workshop: Any, make_model: Make, location: str
) -> None:
    workshop.put(external(make_model, location))

    assert_refused(workshop.build(), "InvalidModel", "not the name of a file beside", "fetch")


def missing(workshop: Any, make_model: Make) -> None:
    workshop.put(external(make_model, "w.bin"))


def a_link_out_of_the_claim(workshop: Any, make_model: Make) -> None:
    workshop.put(external(make_model, "w.bin"))
    (workshop.claim / "w.bin").symlink_to("/etc/hostname")


def too_short(workshop: Any, make_model: Make) -> None:
    workshop.put(external(make_model, "w.bin", length=64))
    (workshop.claim / "w.bin").write_bytes(WEIGHTS.tobytes()[:-1])


def an_offset_beyond_the_end(workshop: Any, make_model: Make) -> None:
    workshop.put(external(make_model, "w.bin", offset=1 << 40))
    (workshop.claim / "w.bin").write_bytes(WEIGHTS.tobytes())


def an_offset_that_is_no_number(workshop: Any, make_model: Make) -> None:
    model = external(make_model, "w.bin")
    model.graph.initializer[0].external_data.add(key="offset", value="-1")
    workshop.put(model)
    (workshop.claim / "w.bin").write_bytes(WEIGHTS.tobytes())


def fewer_values_than_the_shape_says(workshop: Any, make_model: Make) -> None:
    workshop.put(external(make_model, "w.bin"))
    (workshop.claim / "w.bin").write_bytes(bytes(8))


def the_same_bytes_a_million_times(workshop: Any, make_model: Make) -> None:
    model = external(make_model, "w.bin")
    for number in range(50):
        model.graph.initializer.add().CopyFrom(model.graph.initializer[0])
        model.graph.initializer[-1].name = f"w{number}"
    workshop.put(model)
    with (workshop.claim / "w.bin").open("wb") as file:
        file.truncate(50 << 20)


def no_place_at_all(workshop: Any, make_model: Make) -> None:
    model = external(make_model, "w.bin")
    model.graph.initializer[0].ClearField("external_data")
    workshop.put(model)


@pytest.mark.parametrize(
    ("prepare", "reason", "why", "stage"),
    [
        (missing, "SourceUnavailable", "w.bin cannot be read", "fetch"),
        (a_link_out_of_the_claim, "InvalidPath", "leads out of the claim", "fetch"),
        (too_short, "InvalidModel", "beyond the end of w.bin", "load"),
        (an_offset_beyond_the_end, "InvalidModel", "beyond the end of w.bin", "load"),
        (an_offset_that_is_no_number, "InvalidModel", "cannot be understood", "load"),
        (fewer_values_than_the_shape_says, "InvalidModel", "", "load"),
        (the_same_bytes_a_million_times, "InvalidModel", "use a smaller model", "load"),
        (no_place_at_all, "InvalidModel", "", "load"),
    ],
)
def test_files_that_cannot_be_used_are_told(
    workshop: Any,
    make_model: Make,
    prepare: Callable[[Any, Make], None],
    reason: str,
    why: str,
    stage: str,
) -> None:
    prepare(workshop, make_model)

    assert_refused(workshop.build(), reason, why, stage)


def test_the_size_limit_is_that_of_all_files(workshop: Any, make_model: Make) -> None:
    model = external(make_model, "w.bin")
    workshop.put(model)
    (workshop.claim / "w.bin").write_bytes(WEIGHTS.tobytes())
    size = len(model.SerializeToString()) + WEIGHTS.nbytes

    refused = workshop.build(maxSourceBytes=size - 1)
    assert_refused(refused, "SourceTooLarge", f"net.onnx .* limit of {size - 1} bytes", "fetch")
    assert "Published" == workshop.build(maxSourceBytes=size).outcome


def test_more_than_protobuf_holds_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)

    with pytest.raises(BuildError, match="protobuf, in which ONNX is written, holds at most"):
        load_onnx(Source(path, "0" * 64, 2**31), "24.10")


def assert_refused(summary: Any, reason: str, why: str, stage: str) -> None:
    assert ("Failed", reason) == (summary.outcome, summary.reason), summary.message
    assert summary.message.startswith(f"{stage}: "), summary.message
    assert re.search(why, summary.message), summary.message
