"""Builds of the benchmarks' networks, in a folder and without a cluster."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import BenchmarkError, say
from benchmarks.models.subject import Subject
from dlagent.adapters.store import FolderStore
from dlagent.api.types import DLAgentSpec
from dlagent.build.pipeline import build
from dlagent.build.places import Places
from dlagent.build.progress import Progress
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.layout import REPORT, artifact_path, network_path
from dlagent.domain.artifact.report import Report
from dlagent.domain.artifact.request import BuildRequest, Target, build_request
from dlagent.domain.artifact.summary import Outcome
from dlagent.domain.search.halving import EFFORTS
from examples.fashion_mnist.data import digest_of

LARGEST_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class BuiltSubject:
    """The artifact's network and its report."""

    model: bytes
    report: Report


@contextmanager
def workplace() -> Iterator[Places]:
    """A store and room for a build; both go afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-build-") as folder:
        scratch = Path(folder) / "scratch"
        scratch.mkdir()
        yield Places(Path(folder), FolderStore(Path(folder) / "store"), scratch, local_files=True)


def request_of(subject: Subject, minutes: int, epochs: int) -> BuildRequest:
    """The network alone, without perceive and act, with its data set and its gate."""
    spec = DLAgentSpec.model_validate(
        {
            "model": {"source": {"uri": subject.program.as_uri()}},
            "build": {
                "dataset": {
                    "uri": subject.dataset.as_uri(),
                    "sha256": digest_of(subject.dataset),
                },
                "gate": dict(subject.gate),
                **subject.build,
                "distill": {"epochs": epochs, **subject.build.get("distill", {})},
                "timeBudgetMinutes": minutes,
            },
            "slo": {"latency": {"thresholdMilliseconds": 50}},
        }
    )
    return build_request(
        spec, None, Target(triton_version="24.10", accelerator="cpu"), LARGEST_BYTES
    )


def build_subject(
    subject: Subject, minutes: int, epochs: int, efforts: Sequence[float] = EFFORTS
) -> BuiltSubject:
    """Build it anew.

    Raises:
        BenchmarkError: the build failed.
    """
    with workplace() as places:
        progress = Progress(show=lambda stage, message: say(f"{subject.name}: {stage}: {message}"))
        summary = build(request_of(subject, minutes, epochs), places, progress, efforts)
        if summary.outcome is Outcome.FAILED:
            raise BenchmarkError(f"{subject.name}: {summary.reason}: {summary.message}")
        folder = places.sources / "store" / artifact_path(str(summary.key))
        report = Report.model_validate_json((folder / REPORT).read_text())
        network = folder / network_path(Engine.ONNX_RUNTIME, is_member=False)
        return BuiltSubject(network.read_bytes(), report)
