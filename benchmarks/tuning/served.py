"""The local cluster's Triton, standing alone: a build measures on it, and plans are loaded."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from tritonclient.http import (  # type: ignore[import-untyped]  # ships no types
    InferenceServerClient,
    InferInput,
)

from benchmarks.tuning.truth import Promise
from dlagent.bench.result import summarise
from dlagent.bench.sender import Limits, Post, Sender
from dlagent.build.measure import Subject
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.request import Simulated
from dlagent.domain.artifact.triton_config import ServingPlan, render_config
from dlagent.domain.traffic.schedule import Arrivals, due_times
from dlagent.domain.traffic.shapes import constant
from dlagent.domain.tuning.server import socket_arguments
from dlagent_local import standalone

_ARTIFACT = Path(__file__).parents[2] / "model_repo"
_MODEL = "served"
_REQUESTS = 300  # of a run, as far as its seconds allow
_SECONDS = (6.0, 16.0)
_PARTS = (1.2, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # of the expected rate, which are tried


def subject() -> Subject:
    """The small model of model_repo/."""
    manifest = Manifest.model_validate_json((_ARTIFACT / "manifest.json").read_bytes())
    model = (_ARTIFACT / "model/1/model.onnx").read_bytes()
    return Subject(model, manifest.interface, manifest.engine, free_size=1)


@dataclass(frozen=True)
class Served:
    """Triton on `models`; a build finds its socket there."""

    models: Path
    server: standalone.Triton

    def rate(
        self, plan: ServingPlan, device: Simulated, promise: Promise, expected: float
    ) -> float:
        """Requests/s at which the promise is just kept, by an open loop of Poisson arrivals.

        From a fifth above the expected rate it goes down by tenths of that until the promise is
        kept, and draws a line to the rate before, at which it was not.
        """
        self._load(plan, device)
        missed_rate = missed = None
        for part in _PARTS:
            rate = part * expected
            share = self._share(rate, promise)
            if share >= promise.objective:
                if missed_rate is None or missed is None:
                    return rate
                way = (share - promise.objective) / (share - missed)
                return rate + way * (missed_rate - rate)
            missed_rate, missed = rate, share
        return 0.0

    def _load(self, plan: ServingPlan, device: Simulated) -> None:
        what = subject()
        folder = self.models / _MODEL
        (folder / "1").mkdir(parents=True, exist_ok=True)
        (folder / "1/model.onnx").write_bytes(what.model)
        config = render_config(what.interface, plan, what.engine, device)
        (folder / "config.pbtxt").write_text(config)
        client = InferenceServerClient(self.server.address, network_timeout=120)
        client.load_model(_MODEL)
        client.close()

    def _share(self, rate: float, promise: Promise) -> float:
        seconds = min(_SECONDS[1], max(_SECONDS[0], _REQUESTS / rate))
        chunks = due_times(constant(rate, seconds), Arrivals.POISSON, np.random.default_rng(1))
        sender = Sender(self._post(), Limits())
        asyncio.run(sender.send(chain.from_iterable(chunk.tolist() for chunk in chunks)))
        found = summarise(sender.journal.requests(), promise.threshold_seconds, seconds)
        return found.within_slo or 0.0

    def _post(self) -> Post:
        picture = InferInput("picture", [1, 8, 8], "UINT8")
        picture.set_data_from_numpy(np.zeros((1, 8, 8), np.uint8))
        body, header_length = InferenceServerClient.generate_request_body([picture])
        url = f"http://{self.server.address}/v2/models/{_MODEL}/infer"
        return Post(url, bytes(body), {"Inference-Header-Content-Length": str(header_length)})


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Triton until the block ends; it serves what is loaded, by HTTP and by the build's socket."""
    models = folder / "models"
    models.mkdir()
    arguments = [*socket_arguments(models), "--allow-http=true", "--allow-grpc=true"]
    with standalone.triton(models, folder / "log", *arguments) as server:
        yield Served(models, server)
