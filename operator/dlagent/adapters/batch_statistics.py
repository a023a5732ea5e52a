"""One pod's counters of batches by size, from Triton's statistics over HTTP.

Fits `reconcile.ports.BatchStatistics` by shape. What goes wrong is an answer as well (`NoData`):
nothing here raises. The answer's form is Triton's statistics extension; the models of a pod, an
ensemble's members too, come in one answer.
"""

import asyncio
import json
from typing import Any

import aiohttp

from dlagent.domain.scaling.batch_counts import BatchCounts, Worked
from dlagent.domain.scaling.values import NoData

PORT = 8000
SECONDS = 2.0
_PATH = "/v2/models/stats"
# 128 batch sizes of an ensemble and its three members are about 100 KB.
_LARGEST_BYTES = 512 * 1024
_LARGEST_COUNT = 2**64
_PARTS = ("compute_input", "compute_infer", "compute_output")

# What reading JSON of another shape than Triton documents can raise.
_NOT_AS_DOCUMENTED = (AttributeError, KeyError, TypeError, ValueError, RecursionError)


class TritonStatistics:
    """Asks Triton on `port` of a pod, for at most `seconds` each time."""

    def __init__(self, port: int = PORT, seconds: float = SECONDS) -> None:
        self._port = port
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def batch_counts(self, pod: str, pod_ip: str, at: float) -> BatchCounts | NoData:
        """The counters of a pod, which are given the time `at` (Unix seconds)."""
        host = f"[{pod_ip}]" if ":" in pod_ip else pod_ip
        try:
            async with asyncio.timeout(self._seconds):
                async with self._open().get(f"http://{host}:{self._port}{_PATH}") as answer:
                    body = await _bounded(answer)
                    status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return NoData(f"{pod_ip}: {type(error).__name__}: {error}")
        if body is None:
            return NoData(f"{pod_ip}: the statistics have more than {_LARGEST_BYTES} bytes")
        if status != 200:
            return NoData(f"{pod_ip}: HTTP {status} where statistics were asked for")
        try:
            return BatchCounts(pod, at, _models(json.loads(body)))
        except _NOT_AS_DOCUMENTED as error:
            return NoData(f"{pod_ip}: statistics that cannot be read: {error!r}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A pod is asked once a minute: its connection is not worth keeping.
            connector = aiohttp.TCPConnector(force_close=True)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session


async def _bounded(answer: aiohttp.ClientResponse) -> bytes | None:
    """The body; None where it is too long, of which no more is read."""
    body = b""
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > _LARGEST_BYTES:
            return None
    return body


def _models(answer: Any) -> dict[str, dict[int, Worked]]:
    return {
        str(model["name"]): dict(_worked(entry) for entry in model.get("batch_stats", []))
        for model in answer["model_stats"]
    }


def _worked(entry: Any) -> tuple[int, Worked]:
    batches = _count(entry["compute_infer"]["count"])
    seconds = sum(_count(entry[part]["ns"]) for part in _PARTS) / 1e9
    return _count(entry["batch_size"]), Worked(float(batches), seconds)


def _count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < _LARGEST_COUNT:
        raise ValueError(f"{str(value)[:20]} is no count")
    return value
