"""Talks to one agent over Triton's HTTP protocol (KServe v2 with binary tensors).

Called by `dlagent infer`, `dlagent bench`, the demo and the benchmarks. tritonclient encodes and
decodes; the transport is urllib3, because the way in may be the Kubernetes apiserver with its
credentials.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3
from numpy.typing import NDArray
from tritonclient.http import (  # type: ignore[import-untyped]  # ships no types
    InferenceServerClient,
    InferInput,
    InferRequestedOutput,
)
from tritonclient.utils import np_to_triton_dtype  # type: ignore[import-untyped]  # ships no types

from dlagent.cli.errors import CliError

Answer = dict[str, NDArray[Any]]
TIMEOUT = urllib3.Timeout(connect=5, read=60)
LENGTH_HEADER = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Endpoint:
    """A way to an agent's Triton: a base URL, and the pool and headers that open it."""

    base: str
    pool: urllib3.PoolManager = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Any:
        """One request; the response of urllib3, whatever its status.

        Raises:
            CliError: no answer.
        """
        try:
            return self.pool.request(
                method,
                self.base + path,
                body=body or None,
                headers={**self.headers, **headers},
                timeout=TIMEOUT,
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise CliError(f"{self.base} does not answer: {error}") from error

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.clear()


@dataclass(frozen=True)
class TensorInfo:
    """An input or output as a client sees it: no batch axis, -1 is a free axis."""

    name: str
    data_type: str  # Triton's name, e.g. UINT8
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelInfo:
    """What the agent takes and gives."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    max_batch_size: int  # 0: the agent takes one example a request, without a batch axis

    @property
    def batched(self) -> bool:
        """Whether requests and answers have a batch axis in front."""
        return self.max_batch_size > 0


@dataclass(frozen=True)
class AgentClient:
    """Requests to one agent."""

    endpoint: Endpoint
    agent: str

    def model(self) -> ModelInfo:
        """The served interface, read from Triton.

        Raises:
            CliError: the agent is not served there.
        """
        config = self.config()
        metadata = self._json("GET", f"/v2/models/{self.agent}")
        try:
            return _model_info(config, metadata)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            said = "what it says of the agent's tensors is not Triton's"
            raise CliError(f"{self.endpoint.base} answers, and is no Triton: {said}") from error

    def config(self) -> dict[str, Any]:
        """The model's configuration, as Triton gives it.

        Raises:
            CliError: the agent is not served there.
        """
        return self._json("GET", f"/v2/models/{self.agent}/config")

    def infer(
        self,
        model: ModelInfo,
        inputs: Mapping[str, NDArray[Any]],
        fresh_connection: bool = False,
    ) -> Answer:
        """The outputs by name, for inputs that have their batch axis where the agent has one.

        Args:
            model: what `model()` gave.
            inputs: a tensor for each input.
            fresh_connection: close the connection afterwards, so that none is ever reused.

        Raises:
            CliError: the agent refused the request or did not answer.
        """
        body, headers = encode(model, inputs)
        if fresh_connection:
            headers["Connection"] = "close"
        response = self.endpoint.request("POST", f"/v2/models/{self.agent}/infer", body, **headers)
        if response.status != 200:
            raise CliError(f"{self.agent} refused the request: {_reason(response)}")
        return decode(model, response.data, response.headers.get(LENGTH_HEADER))

    def _json(self, method: str, path: str) -> dict[str, Any]:
        response = self.endpoint.request(method, path)
        if response.status != 200:
            where = f"{self.agent} is not served at {self.endpoint.base}"
            raise CliError(f"{where}: {_reason(response)}")
        try:
            parsed: dict[str, Any] = json.loads(response.data)
        except ValueError as error:
            raise CliError(f"{self.endpoint.base} answers, and is no Triton: not JSON") from error
        return parsed


def _model_info(config: dict[str, Any], metadata: dict[str, Any]) -> ModelInfo:
    max_batch_size = int(config.get("max_batch_size", 0))
    skip = 1 if max_batch_size > 0 else 0
    return ModelInfo(
        inputs=_tensors(metadata["inputs"], skip),
        outputs=_tensors(metadata["outputs"], skip),
        max_batch_size=max_batch_size,
    )


def _tensors(described: list[dict[str, Any]], skip: int) -> tuple[TensorInfo, ...]:
    return tuple(
        TensorInfo(t["name"], t["datatype"], tuple(int(d) for d in t["shape"][skip:]))
        for t in described
    )


def encode(model: ModelInfo, inputs: Mapping[str, NDArray[Any]]) -> tuple[bytes, dict[str, str]]:
    """A request body with binary tensors, and its headers."""
    tensors = []
    for name, value in inputs.items():
        tensor = InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
        tensor.set_data_from_numpy(value, binary_data=True)
        tensors.append(tensor)
    wanted = [InferRequestedOutput(output.name, binary_data=True) for output in model.outputs]
    body, header_length = InferenceServerClient.generate_request_body(tensors, outputs=wanted)
    headers = {"Content-Type": "application/octet-stream"}
    if header_length is not None:
        headers[LENGTH_HEADER] = str(header_length)
    return bytes(body), headers


def decode(model: ModelInfo, body: bytes, header_length: str | None) -> Answer:
    """The outputs of an answer, by name and in the model's order."""
    length = int(header_length) if header_length else None
    result = InferenceServerClient.parse_response_body(body, header_length=length)
    return {output.name: result.as_numpy(output.name) for output in model.outputs}


def _reason(response: Any) -> str:
    """What the server said, in one line."""
    text = bytes(response.data).decode(errors="replace")
    try:
        said = json.loads(text)
        text = said.get("error") or said.get("message") or text
    except (json.JSONDecodeError, AttributeError):
        pass  # a proxy between answered in its own words
    return f"HTTP {response.status}: {' '.join(text.split())[:300]}"
