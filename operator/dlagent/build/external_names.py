"""The names of the files that an ONNX model keeps its weights in, read without any ONNX library.

`names` is asked while the source is fetched, where credentials and the store are at hand. A parser
in C could be taken over by a file that is made to do so; this one is plain Python, and looks at no
more of protobuf's wire format (https://protobuf.dev/programming-guides/encoding) than it needs.
What it does not understand it passes over: the model is read properly where nothing can be stolen.
"""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dlagent.build.failure import BuildError
from dlagent.domain.artifact.summary import FailureReason

MOST_FILES = 1000

_PLAIN_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")
_LOCATION = b"location"  # in every file with external data, and in few without

# The messages of onnx.proto on the way to a tensor: what message each of these fields holds.
_TENSOR = "TensorProto"
MESSAGES = {
    "ModelProto": {7: "GraphProto", 25: "FunctionProto"},
    "GraphProto": {1: "NodeProto", 5: _TENSOR, 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: _TENSOR,
        6: "GraphProto",
        10: _TENSOR,
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: _TENSOR, 2: _TENSOR},
}
EXTERNAL_DATA, DATA_LOCATION, EXTERNAL = 13, 14, 1  # of TensorProto
KEY, VALUE = 1, 2  # of StringStringEntryProto

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_VARINT_BITS = 70


class _NotProtobufError(Exception):
    """The bytes are no message."""


@dataclass(frozen=True)
class _Field:
    """A field: its number in an integer `value`, or from `start` to `end` of the file."""

    number: int
    value: int = 0
    start: int = 0
    end: int = 0


def names(path: Path) -> list[str]:
    """The files that a model's weights are in, sorted; [] for a file that is no ONNX.

    Raises:
        BuildError: InvalidModel: a name is not a plain one, or there are too many.
    """
    if path.stat().st_size == 0:
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_LOCATION) < 0:
            return []
        try:
            found = sorted(set(_locations(content)))
        except _NotProtobufError:
            return []  # the next stage says what is wrong with it
    for name in found:
        check_name(name)
    if len(found) > MOST_FILES:
        raise _invalid(
            f"the weights are in {len(found)} files, and at most {MOST_FILES} are read; save them"
            " in one: onnx.save(..., save_as_external_data=True, all_tensors_to_one_file=True)"
        )
    return found


def check_name(name: str) -> None:
    """Raises BuildError (InvalidModel) where it is not the name of a file in the same folder."""
    if not _PLAIN_NAME.fullmatch(name) or name in (".", ".."):
        raise _invalid(
            f"a weight is in the file {name[:80]!r}, which is not the name of a file beside the"
            " model; save the model anew: onnx.save(onnx.load('model.onnx'), 'new.onnx',"
            " save_as_external_data=True, location='new.onnx.data')"
        )


def _locations(content: mmap.mmap) -> Iterator[str]:
    """Where each external tensor says that it is; an empty text where it does not say."""
    left = [("ModelProto", 0, len(content))]
    while left:
        message, start, end = left.pop()
        if message == _TENSOR:
            location = _location(content, start, end)
            if location is not None:
                yield location
            continue
        inside = MESSAGES[message]
        left += [
            (inside[field.number], field.start, field.end)
            for field in _fields(content, start, end)
            if field.number in inside and field.end
        ]


def _location(content: mmap.mmap, start: int, end: int) -> str | None:
    """Of one tensor; None where its values are in the model."""
    external, location = False, ""
    for field in _fields(content, start, end):
        if field.number == DATA_LOCATION:
            external = field.value == EXTERNAL
        elif field.number == EXTERNAL_DATA and field.end:
            entry = {each.number: each for each in _fields(content, field.start, field.end)}
            if KEY in entry and _text(content, entry[KEY]) == _LOCATION.decode():
                location = _text(content, entry[VALUE]) if VALUE in entry else ""
    return location if external else None


def _text(content: mmap.mmap, field: _Field) -> str:
    return content[field.start : field.end].decode(errors="replace")


def _fields(content: mmap.mmap, start: int, end: int) -> Iterator[_Field]:
    """The fields of a message in the order of the file. Raises _NotProtobufError."""
    at = start
    while at < end:
        tag, at = _varint(content, at, end)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(content, at, end)
            yield _Field(number, value)
            continue
        if kind == _BYTES:
            size, at = _varint(content, at, end)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise _NotProtobufError
        if size > end - at:
            raise _NotProtobufError
        if kind == _BYTES:
            yield _Field(number, start=at, end=at + size)
        at += size


def _varint(content: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """The integer at a place, and the place after it. Raises _NotProtobufError."""
    value = 0
    for shift in range(0, _VARINT_BITS, 7):
        if at >= end:
            break
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _NotProtobufError


def _invalid(message: str) -> BuildError:
    return BuildError(FailureReason.INVALID_MODEL, message)
