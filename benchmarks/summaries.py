"""`summaries`: what Triton's latency summaries cost, which serving pods are started with.

requests_per_second           of one connection pool in a closed loop, with the summaries
server_microseconds           CPU time of Triton and its backend for a request, likewise
baseline_...                  the same without the summaries, by turns with it

Two servers are up, one with and one without; while one is asked the other is idle. The model is
the small one of model_repo/, one row a request.
"""

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
from tritonclient.http import (  # type: ignore[import-untyped]  # ships no types
    InferenceServerClient,
    InferInput,
)

from benchmarks.bench import in_turns, report, say
from dlagent.manifests.deployment import METRICS_ARGUMENTS
from dlagent_local import standalone

_MODEL = Path(__file__).parents[1] / "model_repo/model"
_WARM_UP_SECONDS = 1.0
WITH, WITHOUT = "with", "without"


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks summaries")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a round, each way")
    options = parser.parse_args()
    rates: dict[str, list[float]] = {WITH: [], WITHOUT: []}
    costs: dict[str, list[float]] = {WITH: [], WITHOUT: []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dlagent-bench-")))
        shutil.copytree(_MODEL, folder / "models/model")
        servers = {
            way: stack.enter_context(
                standalone.triton(folder / "models", folder / f"{way}.log", *arguments)
            )
            for way, arguments in ((WITH, METRICS_ARGUMENTS), (WITHOUT, ()))
        }
        for server in servers.values():
            _load(server, options.connections, _WARM_UP_SECONDS)
        for turn, way in in_turns(servers, options.rounds):
            rate, cost = _load(servers[way], options.connections, options.seconds)
            rates[way].append(rate)
            costs[way].append(cost)
            say(f"round {turn}, {way}: {rate:.0f} requests/s, {cost:.0f} us of CPU each")
    figures: dict[str, float] = {}
    for prefix, way in (("", WITH), ("baseline_", WITHOUT)):
        figures[f"{prefix}requests_per_second"] = round(statistics.median(rates[way]))
        figures[f"{prefix}server_microseconds"] = round(statistics.median(costs[way]))
    report(figures | {"connections": options.connections})


def _load(server: standalone.Triton, connections: int, seconds: float) -> tuple[float, float]:
    """Requests a second, and the server's CPU time for each in microseconds."""
    cpu = _cpu_seconds(server)
    began = time.monotonic()
    answered = asyncio.run(_closed_loop(server.http_port, connections, seconds))
    taken = time.monotonic() - began
    return answered / taken, (_cpu_seconds(server) - cpu) / answered * 1e6


async def _closed_loop(port: int, connections: int, seconds: float) -> int:
    """How many requests were answered by connections that send the next when they have one."""
    end = time.monotonic() + seconds
    counts = await asyncio.gather(*(_connection(port, end) for _ in range(connections)))
    return sum(counts)


async def _connection(port: int, end: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = _request()
    answered = 0
    while time.monotonic() < end:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = head.lower().split(b"\ncontent-length:")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))
        answered += 1
    writer.close()
    return answered


def _request() -> bytes:
    picture = InferInput("picture", [1, 8, 8], "UINT8")
    picture.set_data_from_numpy(np.zeros((1, 8, 8), np.uint8))
    body, header_length = InferenceServerClient.generate_request_body([picture])
    head = (
        "POST /v2/models/model/infer HTTP/1.1\r\nHost: triton\r\n"
        f"Inference-Header-Content-Length: {header_length}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + bytes(body)


def _cpu_seconds(server: standalone.Triton) -> float:
    process = psutil.Process(server.process_id)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


if __name__ == "__main__":
    main()
