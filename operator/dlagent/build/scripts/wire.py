"""Arrays over a connection between two processes, without pickle.

Between dlagent.build.scripts.process and dlagent.build.scripts.runner.
"""

import json
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_TEXT = "text"


def send_arrays(connection: Connection, arrays: Mapping[str, Array]) -> None:
    """Raises OSError where the other side is gone."""
    described = [[name, _kind(value), list(value.shape)] for name, value in arrays.items()]
    connection.send_bytes(json.dumps(described).encode())
    for value in arrays.values():
        connection.send_bytes(_content(value))


def receive_arrays(connection: Connection) -> dict[str, Array]:
    """Raises EOFError or OSError where the other side is gone."""
    described = json.loads(connection.recv_bytes())
    return {name: _array(kind, shape, connection.recv_bytes()) for name, kind, shape in described}


def _kind(value: Array) -> str:
    return _TEXT if value.dtype.kind == "O" else value.dtype.str


def _content(value: Array) -> bytes:
    if value.dtype.kind != "O":
        return value.tobytes()
    return json.dumps([item.decode("latin-1") for item in value.flat]).encode()


def _array(kind: str, shape: list[int], content: bytes) -> Array:
    if kind != _TEXT:
        return np.frombuffer(content, np.dtype(kind)).reshape(shape)
    values = np.empty(shape, np.object_)
    for place, text in enumerate(json.loads(content)):
        values.flat[place] = text.encode("latin-1")
    return values
