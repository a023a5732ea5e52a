"""Data sets: what is read, and each way in which one cannot be used."""

import contextlib
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlagent.api.types import DataType, Tensor
from dlagent.build.dataset import Dataset, check_labels, load_dataset, split_dataset
from dlagent.build.failure import BuildError
from dlagent.domain.artifact.summary import FailureReason
from dlagent.domain.data.split import Part

IMAGE = Tensor(name="image", data_type=DataType.UINT8, shape=[2, 3])
SCALE = Tensor(name="scale", data_type=DataType.FP32, shape=[-1])
MASK = Tensor(name="mask", data_type=DataType.BOOL, shape=[1])
INPUTS = [IMAGE, SCALE]
LIMIT = 10_000

images = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
scales = np.ones((4, 5), dtype=np.float32)
ARRAYS = {"image": images, "scale": scales, "labels": np.array([0, 1, 0, 1])}

Files = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Files:
    def save(compressed: bool = False, /, **arrays: Any) -> Path:
        path = tmp_path / "data.npz"
        save_arrays: Any = np.savez_compressed if compressed else np.savez
        save_arrays(path, **(ARRAYS | arrays))
        return path

    return save


def refused(path: Path, inputs: list[Tensor] = INPUTS, max_bytes: int = LIMIT) -> str:
    with pytest.raises(BuildError) as caught:
        load_dataset(path, inputs, max_bytes)
    assert FailureReason.INVALID_DATASET == caught.value.reason
    assert caught.value.message.startswith("the data set: ")
    assert "; " in caught.value.message, "the remedy"
    return caught.value.message


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_are_read_as_they_were_saved(saved: Files, compressed: bool) -> None:
    trained_on = np.array([True, False, True, False])
    path = saved(compressed, image=np.asfortranarray(images), trained_on=trained_on)
    found = load_dataset(path, INPUTS, LIMIT)
    assert images.tolist() == found.inputs["image"].tolist()
    assert found.inputs["image"].flags["C_CONTIGUOUS"]
    assert scales.tolist() == found.inputs["scale"].tolist()
    assert found.labels is not None
    assert [0, 1, 0, 1] == found.labels.tolist()
    assert trained_on.tolist() == found.trained_on.tolist()
    assert 4 == len(found)


def test_labels_and_trained_on_may_be_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", image=images)
    found = load_dataset(tmp_path / "data.npz", [IMAGE], LIMIT)
    assert found.labels is None
    assert not found.trained_on.any()


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.uint64, ">i8"])
def test_labels_are_whole_numbers_of_any_type(saved: Files, kind: Any) -> None:
    found = load_dataset(saved(labels=np.array([0, 1, 2, 1], dtype=kind)), INPUTS, LIMIT)
    assert found.labels is not None
    assert np.int64 == found.labels.dtype
    assert [0, 1, 2, 1] == found.labels.tolist()


def test_a_bool_is_zero_or_one_whatever_the_byte(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("mask.npy", npy(b"\x00\x07", "|b1", (2, 1)))
    found = load_dataset(tmp_path / "data.npz", [MASK], LIMIT)
    assert [0, 1] == found.inputs["mask"].view(np.uint8).ravel().tolist()


class Trap:
    """Unpickling it would be seen."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("it was unpickled",)


WRONG_ARRAYS = [
    pytest.param(
        {"extra": scales},
        "it has the arrays image, scale, labels, extra; image, scale are expected, and labels and"
        " trained_on are allowed; name the arrays as the agent's inputs",
        id="an array too many",
    ),
    pytest.param(
        {"image": images.astype(np.float32)},
        "the array image is float32 of shape [4, 2, 3], and uint8 of shape [4, 2, 3] is expected;"
        " convert it, or correct spec.model.inputs",
        id="another type",
    ),
    pytest.param(
        {"image": images[:, :1]},
        "the array image is uint8 of shape [4, 1, 3], and uint8 of shape [4, 2, 3] is expected",
        id="another shape",
    ),
    pytest.param(
        {"scale": scales[..., None]},
        "the array scale is float32 of shape [4, 5, 1], and float32 of shape [4, -1] is expected",
        id="an axis too many",
    ),
    pytest.param({"scale": scales[:, :0]}, "of shape [4, 0], and", id="a free axis of no size"),
    pytest.param(
        {"scale": scales.astype(">f4")}, "the array scale is >f4 of", id="the other byte order"
    ),
    pytest.param(
        {"image": images[:3]},
        "different numbers of examples: image 3, scale 4, labels 4; give as many",
        id="different numbers of examples",
    ),
    pytest.param({"labels": np.array(3)}, "labels 0; give as many", id="a number and no array"),
    pytest.param(
        {"image": images[:0], "scale": scales[:0], "labels": np.zeros(0, dtype=int)},
        "it has no examples",
        id="no examples",
    ),
    pytest.param(
        {"labels": np.array([0.0, 1.0, 0.0, 1.0])},
        "the array labels is float64 of shape [4], and int64 of shape [4] is expected",
        id="labels that are no whole numbers",
    ),
    pytest.param({"labels": np.eye(4, dtype=int)}, "labels is int64 of shape [4, 4]", id="one-hot"),
    pytest.param(
        {"labels": np.full(4, 2**63, dtype=np.uint64)},
        "the label 9223372036854775808 is no class",
        id="a label above all numbers",
    ),
    pytest.param({"trained_on": np.array([0, 1, 0, 1])}, "and bool of shape [4] is", id="no bools"),
    pytest.param(
        {"image": np.array([Trap()] * 4, dtype=object)},
        "the array image holds Python objects, which can run any code",
        id="a pickle",
    ),
    pytest.param(
        {"scale": np.where(np.arange(4)[:, None] > 1, np.nan, scales)},
        "the array scale has NaN or infinity in 2 of 4 examples, first in example 2",
        id="not a number",
    ),
    pytest.param(
        {"scale": np.full((4, 5), -np.inf, dtype=np.float32)},
        "in 4 of 4 examples, first in example 0",
        id="an infinity",
    ),
]


@pytest.mark.parametrize(("arrays", "words"), WRONG_ARRAYS)
def test_wrong_arrays(saved: Files, arrays: dict[str, Any], words: str) -> None:
    arrays = {k: v.astype(np.float32) if v.dtype == np.float64 and k == "scale" else v
              for k, v in arrays.items()}  # fmt: skip
    assert words in refused(saved(**arrays))


def test_a_missing_array(saved: Files) -> None:
    assert "it has the arrays image, scale, labels; image, scale, mask are expected" in refused(
        saved(), [*INPUTS, MASK]
    )


def test_an_input_cannot_be_named_as_what_is_beside_it(saved: Files) -> None:
    labels = Tensor(name="labels", data_type=DataType.INT64, shape=[])
    assert "the agent has an input named labels" in refused(saved(), [*INPUTS, labels])


def npy(payload: bytes, descr: str, shape: Any, version: bytes = b"\x01\x00") -> bytes:
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}}}"
    return raw_npy(header.encode(), payload, version)


def raw_npy(header: bytes, payload: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + payload


def archive_of(data: bytes, name: str = "image.npy", **options: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def with_bytes(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


ARRAY = npy(bytes(24), "|u1", (4, 2, 3))
GOOD = archive_of(ARRAY)
PACKED = archive_of(ARRAY, compression=zipfile.ZIP_DEFLATED)
BOMB = archive_of(ARRAY + bytes(LIMIT * 100), compression=zipfile.ZIP_DEFLATED)
DIRECTORY = GOOD.index(b"PK\x01\x02")
END = GOOD.index(b"PK\x05\x06")
FLAGS, METHOD = DIRECTORY + 8, DIRECTORY + 10
TRUNCATED = archive_of(npy(bytes(20), "|u1", (4, 2, 3)))
MANY = io.BytesIO()
with zipfile.ZipFile(MANY, "w") as _archive:
    for _number in range(20_000):
        _archive.writestr(f"{_number:05}", b"")

DAMAGED = [
    pytest.param(b"", "it is not a .npz file, or was cut", id="nothing"),
    pytest.param(ARRAY, "it is not a .npz file", id="an array alone"),
    pytest.param(GOOD[: END + 10], "it is not a .npz file, or was cut", id="a cut end"),
    pytest.param(GOOD[DIRECTORY:], "it refers to its byte -", id="a cut begin"),
    pytest.param(
        with_bytes(GOOD, 60, b"\x07"), "the array image is damaged: ", id="a flipped byte"
    ),
    pytest.param(
        with_bytes(PACKED, 50, b"\xff\xff"), "the array image is damaged: ", id="packed, flipped"
    ),
    pytest.param(
        TRUNCATED,
        "the array image is damaged: its header promises 24 bytes and 20 are there",
        id="fewer bytes than the shape says",
    ),
    pytest.param(
        archive_of(npy(bytes(24), "|u1", (10**15, 2, 3))),
        "its header promises 6000000000000000 bytes and 24 are there",
        id="a shape that would take all memory",
    ),
    pytest.param(
        archive_of(npy(bytes(24), "|u1", (-4, -2, 3))), "it has no examples", id="a negative shape"
    ),
    pytest.param(
        archive_of(npy(bytes(24), "|u1", (4, -2, 3))), "of shape [4, -2, 3]", id="a negative axis"
    ),
    pytest.param(archive_of(b"no array"), "its header is not one", id="no array at all"),
    pytest.param(archive_of(b""), "its header is not one", id="an empty member"),
    pytest.param(archive_of(raw_npy(b"(" * 5000)), "its header is not one", id="a deep header"),
    pytest.param(archive_of(raw_npy(b"__import__('os')")), "its header is", id="code"),
    pytest.param(archive_of(raw_npy(b"()," * 3000)), "its header is", id="a long header"),
    pytest.param(
        archive_of(npy(bytes(24), "|u1", (4, 2, 3), b"\x03\x00")), "its header is", id="version 3"
    ),
    pytest.param(
        archive_of(ARRAY, compression=zipfile.ZIP_LZMA),
        "the array image is packed in a way that numpy does not use",
        id="another packing",
    ),
    pytest.param(with_bytes(GOOD, FLAGS, b"\x01"), "is packed in a way", id="encrypted"),
    pytest.param(with_bytes(GOOD, METHOD, b"\x63"), "is packed in a way", id="unknown packing"),
    pytest.param(
        BOMB,
        "its arrays are larger than 10,000 bytes unpacked; give fewer examples, or raise"
        " builder.maxSourceBytes",
        id="a bomb that says its size",
    ),
    pytest.param(
        with_bytes(BOMB, BOMB.index(b"PK\x01\x02") + 24, struct.pack("<I", len(ARRAY))),
        "the array image is damaged: ",
        id="a bomb that lies about its size",
    ),
    pytest.param(MANY.getvalue(), "it has the arrays 00000, 00001, ", id="many members"),
    pytest.param(
        MANY.getvalue()[:-22] + bytes(1 << 20) + MANY.getvalue()[-22:-10]
        + struct.pack("<II", (1 << 20) + 20_000 * 51, MANY.getvalue().index(b"PK\x01\x02"))
        + b"\0\0",
        "its list of members is too long",
        id="a list of members that would take all memory",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("data", "words"), DAMAGED)
def test_damaged_files(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(data)
    assert words in refused(path, [IMAGE])


def test_a_name_that_occurs_twice(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.npy", ARRAY)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("image.npy", ARRAY)
    assert "it has the arrays image, image; image are expected" in refused(path, [IMAGE])


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_damage_is_refused_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    """Cut or with bytes changed: it is refused with a reason, or gives a data set of that type."""
    whole = data.draw(st.sampled_from([GOOD, PACKED]))
    path = tmp_path / "data.npz"
    broken = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for at in data.draw(st.lists(st.integers(0, max(0, len(broken) - 1)), max_size=4)):
        if broken:
            broken[at] = data.draw(st.integers(0, 255))
    path.write_bytes(broken)
    with contextlib.suppress(BuildError):
        image = load_dataset(path, [IMAGE], LIMIT).inputs["image"]
        assert (np.dtype(np.uint8), (2, 3)) == (image.dtype, image.shape[1:])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        pytest.param(
            [0, 1, 3, 5],
            "2 labels are not classes of the network, which numbers 3 from 0 to 2; the first is 3,"
            " of example 2; number the classes as the network does",
            id="above the classes",
        ),
        pytest.param([0, -1, 2, 1], "1 labels are not classes", id="negative"),
        pytest.param(
            [0, 0, 2, 2], "1 of 3 classes have no example: 1; add examples", id="an empty class"
        ),
    ],
)
def test_labels_that_do_not_fit(labels: list[int], words: str) -> None:
    with pytest.raises(BuildError, match="the data set") as caught:
        check_labels(np.array(labels), 3)
    assert words in caught.value.message


def test_labels_may_leave_out_the_last_classes() -> None:
    check_labels(np.array([0, 1, 0]), 1000)


def data_of(labels: Any, contents: Any, trained_on: Any = False) -> Dataset:
    labels = np.asarray(labels, dtype=np.int64)
    values = np.asarray(contents, dtype=np.int64)[:, None]
    return Dataset({"x": values}, labels, np.broadcast_to(np.asarray(trained_on), labels.shape))


def test_a_data_set_is_divided() -> None:
    parts = split_dataset(data_of(np.arange(200) % 2, np.arange(200))).parts
    assert {Part.TRAIN: 80, Part.CALIBRATE: 10, Part.SELECT: 40, Part.GATE: 70} == {
        part: len(indexes) for part, indexes in parts.items()
    }


def test_few_contradictions_are_left_out() -> None:
    contents = np.arange(400)
    contents[[1, 3]] = [0, 2]
    parts = split_dataset(data_of(np.arange(400) % 2, contents))
    assert 4 == parts.conflicting


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(
            data_of(np.arange(100) % 2, np.arange(100) // 2),
            "100 of 100 examples occur with the same content and different labels, and at most 1%"
            " may; correct the labels",
            id="labels that were mixed up",
        ),
        pytest.param(
            data_of([0, 0, 0], [1, 2, 3]),
            "none is left for the part calibrate; give more examples",
            id="too few for four parts",
        ),
        pytest.param(
            data_of(np.zeros(100), np.arange(100), trained_on=True),
            "none is left for the part select; add examples that the network was not trained on,"
            " with trained_on false",
            id="the network was trained on all of them",
        ),
        pytest.param(
            data_of(np.arange(100) == 7, np.arange(100)),
            "1 of 2 classes have no example in the part gate: 1; add examples of each class",
            id="a class of one example",
        ),
    ],
)
def test_a_data_set_that_cannot_be_divided(data: Dataset, words: str) -> None:
    with pytest.raises(BuildError, match="the data set") as caught:
        split_dataset(data)
    assert FailureReason.INVALID_DATASET == caught.value.reason
    assert words in caught.value.message
