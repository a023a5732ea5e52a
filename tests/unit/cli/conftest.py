"""A Triton that answers by the HTTP protocol, for the tests of the commands."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.utils import serialize_byte_tensor  # type: ignore[import-untyped]  # no types

LENGTH_HEADER = "Inference-Header-Content-Length"


@dataclass
class FakeTriton:
    """Serves `shoes`: UINT8 [2, 2] in; out the sum (FP32) and the two largest places (INT64).

    Where it has `names`, out comes the name (BYTES) of the largest place too.
    """

    url: str = ""
    received: list[NDArray[np.uint8]] = field(default_factory=list)
    prefix: str = ""  # what comes before /v2, as behind the apiserver's proxy
    parameters: dict[str, dict[str, str]] = field(default_factory=dict)  # of config.pbtxt
    answers: int | None = None  # how many requests it answers, before it refuses
    names: list[str] = field(default_factory=list)

    def answer(self, images: NDArray[np.uint8]) -> tuple[dict[str, object], bytes]:
        self.received.append(images)
        flat = images.reshape(len(images), -1)
        total = flat.sum(axis=1, keepdims=True).astype(np.float32)
        places = np.argsort(-flat.astype(int), axis=1, kind="stable")[:, :2].astype(np.int64)
        outputs = []
        for name, datatype, value in (("total", "FP32", total), ("places", "INT64", places)):
            described = {"name": name, "datatype": datatype, "shape": list(value.shape)}
            outputs.append({**described, "parameters": {"binary_data_size": value.nbytes}})
        header: dict[str, object] = {"model_name": "shoes", "outputs": outputs}
        data = total.tobytes() + places.tobytes()
        if self.names:
            named = np.array([[self.names[place].encode()] for place in places[:, 0]], object)
            text = serialize_byte_tensor(named).item()
            described = {"name": "name", "datatype": "BYTES", "shape": list(named.shape)}
            outputs.append({**described, "parameters": {"binary_data_size": len(text)}})
            data += text
        return header, data


@pytest.fixture
def triton() -> Iterator[FakeTriton]:
    fake = FakeTriton()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.removeprefix(fake.prefix)
            if path == "/v2/models/shoes/config":
                config = {"max_batch_size": 8, "parameters": fake.parameters}
                self._send(200, json.dumps(config).encode())
            elif path == "/v2/models/shoes":
                outputs = [
                    {"name": "total", "datatype": "FP32", "shape": [-1, 1]},
                    {"name": "places", "datatype": "INT64", "shape": [-1, 2]},
                ]
                if fake.names:
                    outputs.append({"name": "name", "datatype": "BYTES", "shape": [-1, 1]})
                described = {
                    "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 2, 2]}],
                    "outputs": outputs,
                }
                self._send(200, json.dumps(described).encode())
            else:
                self._send(404, b'{"error":"Request for unknown model"}')

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            length = int(self.headers[LENGTH_HEADER])
            shape = json.loads(body[:length])["inputs"][0]["shape"]
            if len(fake.received) == fake.answers:
                self._send(503, b'{"error":"no more"}')
                return
            if shape[0] > 8:
                self._send(400, b'{"error":"batch-size must be <= 8"}')
                return
            header, binary = fake.answer(np.frombuffer(body[length:], np.uint8).reshape(shape))
            text = json.dumps(header).encode()
            self._send(200, text + binary, {LENGTH_HEADER: str(len(text))})

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    server.server_close()
