"""The names of external files, read by no ONNX library: what onnx itself reads is what is found."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from dlagent.build import external_data, external_names
from dlagent.build.external_names import (
    DATA_LOCATION,
    EXTERNAL,
    EXTERNAL_DATA,
    KEY,
    MESSAGES,
    VALUE,
)
from dlagent.build.failure import BuildError

# Fields that hold tensors which no weight of a served model is in.
NOT_READ = {("ModelProto", "training_info"), ("FunctionProto", "attribute_proto")}


def test_the_fields_are_those_of_onnx() -> None:
    for message, fields in MESSAGES.items():
        descriptor = getattr(onnx, message).DESCRIPTOR
        expected = {
            field.number: field.message_type.name
            for field in descriptor.fields
            if field.message_type is not None
            and field.message_type.name in {*MESSAGES, "TensorProto"}
            and (message, field.name) not in NOT_READ
        }
        assert expected == fields, message
    tensor = TensorProto.DESCRIPTOR.fields_by_name
    entry = onnx.StringStringEntryProto.DESCRIPTOR.fields_by_name
    assert (EXTERNAL_DATA, DATA_LOCATION) == (
        tensor["external_data"].number,
        tensor["data_location"].number,
    )
    assert (EXTERNAL, KEY, VALUE) == (
        TensorProto.EXTERNAL,
        entry["key"].number,
        entry["value"].number,
    )


def found_in(content: bytes) -> list[str] | None:
    """The names in a file; None where one is refused."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.onnx"
        file.write_bytes(content)
        try:
            return external_names.names(file)
        except BuildError:
            return None


def by_onnx(model: ModelProto) -> list[str]:
    places = {
        entry.value
        for tensor in external_data.tensors(model)
        if tensor.data_location == TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return sorted(places)


def tensor(name: str, location: str | None) -> TensorProto:
    made = TensorProto(name=name, dims=[1], data_type=TensorProto.FLOAT)
    if location is None:
        made.raw_data = bytes(4)
    else:
        made.external_data.add(key="offset", value="0")
        made.external_data.add(key="location", value=location)
        made.data_location = TensorProto.EXTERNAL
    return made


LOCATIONS = st.none() | st.sampled_from(["a.bin", "b.bin", "weights of mine", "ü.data"])


@st.composite
def models(draw: st.DrawFn, depth: int = 2) -> ModelProto:
    """Models with tensors in every place that can hold one."""

    def graph(left: int) -> onnx.GraphProto:
        attributes = [
            onnx.AttributeProto(name="t", t=tensor("t", draw(LOCATIONS))),
            onnx.AttributeProto(name="ts", tensors=[tensor("ts", draw(LOCATIONS))]),
            onnx.AttributeProto(
                name="s", sparse_tensor=onnx.SparseTensorProto(values=tensor("v", draw(LOCATIONS)))
            ),
        ]
        if left:
            attributes.append(onnx.AttributeProto(name="g", g=graph(left - 1)))
            attributes.append(onnx.AttributeProto(name="gs", graphs=[graph(left - 1)]))
        kept = draw(st.lists(st.sampled_from(attributes), max_size=3))
        sparse = onnx.SparseTensorProto(indices=tensor("i", draw(LOCATIONS)))
        return onnx.GraphProto(
            name="g",
            node=[onnx.NodeProto(op_type="X", attribute=kept)],
            initializer=[
                tensor("w", location) for location in draw(st.lists(LOCATIONS, max_size=3))
            ],
            sparse_initializer=[sparse],
        )

    model = helper.make_model(graph(depth))
    if draw(st.booleans()):
        node = onnx.NodeProto(
            attribute=[onnx.AttributeProto(name="t", t=tensor("f", draw(LOCATIONS)))]
        )
        model.functions.append(onnx.FunctionProto(name="f", node=[node]))
    return model


@given(models())
def test_every_file_that_onnx_would_read_is_found(model: ModelProto) -> None:
    assert by_onnx(model) == found_in(model.SerializeToString())


@given(models(), st.data())
def test_a_file_that_is_damaged_ends_nothing_and_names_nothing_outside(
    model: ModelProto, data: st.DataObject
) -> None:
    content = bytearray(model.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])

    assert_all_inside(found_in(cut))


@given(st.text(max_size=300))
def test_no_name_leads_out_of_the_folder(location: str) -> None:
    text = location.encode(errors="replace").decode()
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor("w", text)]))

    assert_all_inside(found_in(model.SerializeToString()))


def assert_all_inside(found: list[str] | None) -> None:
    folder = Path("/tmp")
    for name in found or []:
        assert folder == (folder / name).resolve().parent


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"location", id="the word alone"),
        pytest.param(b"location" + b"\xff" * 20, id="a number without an end"),
        pytest.param(b"\x3a\xff\xff\xff\xff\x0flocation", id="a graph longer than the file"),
        pytest.param(b"\x3b\x3c location", id="a group, which ONNX has none of"),
        pytest.param(b"\x3alocation", id="a graph that is no message"),
    ],
)
def test_what_is_no_onnx_has_no_names(content: bytes) -> None:
    assert [] == found_in(content)
    with pytest.raises(DecodeError):
        onnx.load_model_from_string(content + b"\xff")


def test_a_model_may_name_so_many_files_and_no_more() -> None:
    def model(files: int) -> bytes:
        weights = [tensor(f"w{number}", f"{number}.bin") for number in range(files)]
        made = helper.make_model(helper.make_graph([], "g", [], [], weights))
        content: bytes = made.SerializeToString()
        return content

    most = external_names.MOST_FILES
    assert most == len(found_in(model(most)) or [])
    assert found_in(model(most + 1)) is None


def test_where_credentials_are_no_library_that_reads_models_is_loaded() -> None:
    program = "import json, sys, dlagent.build.containers; print(json.dumps(sorted(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)

    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert set() == loaded & {"google", "onnx", "onnxruntime", "torch", "safetensors"}
