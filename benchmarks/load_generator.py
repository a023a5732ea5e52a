"""`load_generator`: how many requests a second one core of `dlagent bench` sends in time.

sustained_per_second    the highest rate tried at which p99 of the lateness stays below 5 ms
late_p99_milliseconds   how late requests were sent at that rate, by the generator's own account
cpu_share               of the core, at that rate
latency_p99_milliseconds  at that rate, from when a request was due
baseline_per_second     a closed loop of aiohttp on the same core: 32 requests at a time, each sent
                        when another is answered, with no times to keep

The server is a process of its own on another core, and does nothing but answer. Arrivals are drawn
(Poisson), as by default. Each rate is tried for some seconds, the next one is higher by a quarter.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import aiohttp
import numpy as np

from benchmarks.bench import eventually, report, say
from dlagent.bench.result import summarise
from dlagent.bench.sender import Limits, Post, Sender
from dlagent.domain.traffic.schedule import Arrivals, due_times
from dlagent.domain.traffic.shapes import constant

LATE_MILLISECONDS = 5.0
FIRST_RATE, STEP = 500.0, 1.25
AT_A_TIME = 32
BODY = bytes(28 * 28 + 200)  # about a Fashion-MNIST picture with its header
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 200\r\n\r\n"
GENERATOR_CORE, SERVER_CORE = 0, 1

Figures = dict[str, float]


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks load_generator")
    parser.add_argument("--seconds", type=float, default=10, help="for each rate")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(_serve(arguments.serve))
        return
    os.sched_setaffinity(0, {GENERATOR_CORE})
    with _server() as url:
        baseline = asyncio.run(_closed_loop(url, arguments.seconds))
        say(f"closed loop: {baseline:,.0f} requests/s")
        found = _climb(url, arguments.seconds)
    report(found | {"baseline_per_second": round(baseline), "seconds": arguments.seconds})


def _climb(url: str, seconds: float) -> Figures:
    """The figures of the highest rate that was kept, from rates that rise until one is not."""
    kept: Figures = {"sustained_per_second": 0}
    rate = FIRST_RATE
    while True:
        figures = asyncio.run(_open_loop(url, rate, seconds))
        say(f"open loop at {rate:,.0f}/s: {json.dumps(figures)}")
        if figures["late_p99_milliseconds"] >= LATE_MILLISECONDS or figures["failed"]:
            return kept
        kept, rate = figures, rate * STEP


async def _open_loop(url: str, rate: float, seconds: float) -> Figures:
    sender = Sender(Post(url, BODY), Limits())
    chunks = due_times(constant(rate, seconds), Arrivals.POISSON, np.random.default_rng(1))
    await sender.send(chain.from_iterable(chunk.tolist() for chunk in chunks))
    found = summarise(sender.journal.requests(), None, seconds)
    return {
        "sustained_per_second": round(found.answered_per_second),
        "late_p99_milliseconds": round(1000 * found.lateness.p99_seconds, 2),
        "latency_p99_milliseconds": round(1000 * (found.latency.p99 or 0), 2),
        "cpu_share": round(sender.cpu_share, 3),
        "failed": found.failed,
    }


async def _closed_loop(url: str, seconds: float) -> float:
    """Requests a second of AT_A_TIME clients that wait for their answers."""
    answered, end = 0, time.monotonic() + seconds

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while time.monotonic() < end:
            async with session.post(url, data=BODY) as response:
                await response.read()
            answered += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(AT_A_TIME)))
    return answered / seconds


@contextmanager
def _server() -> Iterator[str]:
    """The URL of a server in a process of its own, pinned to another core."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks", "load_generator", "--serve", str(port)]
    process = subprocess.Popen(command)
    try:
        eventually("the server to listen", lambda: _listens(port), within_seconds=30)
        yield f"http://127.0.0.1:{port}/infer"
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _serve(port: int) -> None:
    os.sched_setaffinity(0, {SERVER_CORE})
    server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", port)
    await server.serve_forever()


class _Answering(asyncio.Protocol):
    """Answers each request whose head and body have come; knows requests of one length alone."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head := self._received.find(b"\r\n\r\n")) >= 0:
            whole = head + 4 + len(BODY)
            if len(self._received) < whole:
                return
            self._received = self._received[whole:]
            self._transport.write(ANSWER + bytes(200))


if __name__ == "__main__":
    main()
