"""`fused_or_ensemble`: what perceive and act cost as Python steps, beside steps that are fused.

p50_milliseconds, p99_milliseconds   of one request after the other, one picture each
requests_per_second                  of one connection pool in a closed loop, one picture each
baseline_...                         the same of the agent whose steps are fused into the network

Both are built from the example's network as the build Job builds it, put before Triton by the
loader, and served with batches of up to 8 by one instance on one thread: examples/fashion_mnist,
agent.yaml and python_steps.yaml. Both servers are up; while one is asked the other is idle.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import yaml
from rich.console import Console
from tritonclient.http import (  # type: ignore[import-untyped]  # ships no types
    InferenceServerClient,
    InferInput,
)

from benchmarks.bench import BenchmarkError, example, in_turns, report, say
from benchmarks.builds import LARGEST_BYTES, workplace
from dlagent.adapters.store import Disk
from dlagent.api.types import DLAgentSpec
from dlagent.build.pipeline import build
from dlagent.build.progress import Progress
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.ensemble import render
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.request import Scripts, Target, build_request
from dlagent.domain.artifact.triton_config import ServingPlan
from dlagent.load.__main__ import Configs, load
from dlagent_local import standalone
from examples.fashion_mnist import data
from examples.fashion_mnist.train import Trained, ensure_trained

_MODEL = "agent"
_PLAN = ServingPlan(max_batch_size=8, batch_delay_microseconds=0, instances=1)
_WARM_UP_SECONDS = 1.0
FUSED, ENSEMBLE = "fused", "ensemble"
_AGENTS = {FUSED: "agent.yaml", ENSEMBLE: "python_steps.yaml"}


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fused_or_ensemble")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each part of a round")
    options = parser.parse_args()
    trained = ensure_trained(Console(stderr=True))
    latencies: dict[str, list[float]] = {way: [] for way in _AGENTS}
    rates: dict[str, list[float]] = {way: [] for way in _AGENTS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dlagent-bench-")))
        servers = {way: _served(stack, folder, way, trained) for way in _AGENTS}
        requests = {FUSED: _request("image"), ENSEMBLE: _request("picture")}
        for way, server in servers.items():
            _check(server, way, trained)
            _load(server, requests[way], options.connections, _WARM_UP_SECONDS)
        for turn, way in in_turns(servers, options.rounds):
            latencies[way] += _load(servers[way], requests[way], 1, options.seconds)
            many = _load(servers[way], requests[way], options.connections, options.seconds)
            rates[way].append(len(many) / options.seconds)
            say(f"round {turn}, {way}: {rates[way][-1]:.0f} requests/s")
    figures: dict[str, float] = {}
    for prefix, way in (("", ENSEMBLE), ("baseline_", FUSED)):
        p50, p99 = np.percentile(latencies[way], (50, 99)) * 1000
        figures[f"{prefix}p50_milliseconds"] = round(float(p50), 2)
        figures[f"{prefix}p99_milliseconds"] = round(float(p99), 2)
        figures[f"{prefix}requests_per_second"] = round(statistics.median(rates[way]))
    report(figures | {"connections": options.connections})


def _served(stack: ExitStack, folder: Path, way: str, trained: Trained) -> standalone.Triton:
    models = folder / way
    models.mkdir()
    with workplace() as places:
        spec = _spec(way, trained)
        target = Target(triton_version="24.10", accelerator="cpu")
        scripts = Scripts()
        if way == ENSEMBLE:
            texts = {n: example(f"fashion_mnist/{n}.py").read_text() for n in ("perceive", "act")}
            scripts = Scripts(**texts)
        request = build_request(spec, None, target, LARGEST_BYTES, scripts=scripts)
        progress = Progress(show=lambda stage, message: say(f"{way}: {stage}: {message}"))
        summary = build(request, places, progress)
        if summary.key is None or summary.interface is None:
            raise BenchmarkError(f"{way}: {summary.reason}: {summary.message}")
        configs = _configs(summary.interface, Engine(str(summary.engine)))
        load(places.store, summary.key, models, _MODEL, configs, Disk())
    return stack.enter_context(standalone.triton(models, folder / f"{way}.log"))


def _spec(way: str, trained: Trained) -> DLAgentSpec:
    content = yaml.safe_load(example(f"fashion_mnist/{_AGENTS[way]}").read_text())
    content["spec"]["model"]["source"] = {"uri": trained.exported_program.as_uri()}
    return DLAgentSpec.model_validate(content["spec"])


def _configs(interface: ModelInterface, engine: Engine) -> Configs:
    rendered = render(interface, _PLAN, engine)
    return Configs(rendered.model, rendered.members)


def _check(server: standalone.Triton, way: str, trained: Trained) -> None:
    """That the agent answers what the network answers in PyTorch."""
    pictures = data.load("t10k").images[:8]
    given = InferInput("picture" if way == ENSEMBLE else "image", list(pictures.shape), "UINT8")
    given.set_data_from_numpy(pictures)
    client = InferenceServerClient(server.address)
    try:
        found = client.infer(_MODEL, [given]).as_numpy("indices")[:, 0]
    finally:
        client.close()
    if found.tolist() != trained.predictions()[:8].tolist():
        raise BenchmarkError(f"{way}: wrong answers: {found}")


def _load(
    server: standalone.Triton, request: bytes, connections: int, seconds: float
) -> list[float]:
    """Seconds that each request took, of connections that send the next when they have one."""

    async def all_of_them() -> list[float]:
        end = time.monotonic() + seconds
        taken = await asyncio.gather(
            *(_connection(server.http_port, request, end) for _ in range(connections))
        )
        return [each for its in taken for each in its]

    return asyncio.run(all_of_them())


async def _connection(port: int, request: bytes, end: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken = []
    while (began := time.monotonic()) < end:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise BenchmarkError(head.decode())
        length = head.lower().split(b"\ncontent-length:")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))
        taken.append(time.monotonic() - began)
    writer.close()
    return taken


def _request(name: str) -> bytes:
    picture = InferInput(name, [1, 28, 28], "UINT8")
    picture.set_data_from_numpy(data.load("t10k").images[:1])
    body, header_length = InferenceServerClient.generate_request_body([picture])
    head = (
        f"POST /v2/models/{_MODEL}/infer HTTP/1.1\r\nHost: triton\r\n"
        f"Inference-Header-Content-Length: {header_length}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + bytes(body)


if __name__ == "__main__":
    main()
