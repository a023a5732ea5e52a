"""The build: its stages in order, and every way in which it can end as a Summary.

Called by `python -m dlagent.build job` in the cluster and by `dlagent build` without one.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from pydantic import ValidationError

from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    FolderStore,
    is_out_of_space,
)
from dlagent.api.types import ModelFormat
from dlagent.build import exported_program, runtime
from dlagent.build.detect import detect
from dlagent.build.failure import BuildError
from dlagent.build.fetch import Source, fetch
from dlagent.build.fuse import fuse
from dlagent.build.golden import golden
from dlagent.build.machine import instruction_set
from dlagent.build.measure import measure
from dlagent.build.network import inspect
from dlagent.build.onnx_source import load_onnx, main_opset
from dlagent.build.optimise import GateFailedError, Loaded, Optimised, optimise
from dlagent.build.parity import as_run, check_parity
from dlagent.build.progress import Progress
from dlagent.build.publish import Built, publish
from dlagent.domain.artifact.candidates import with_candidates, with_report
from dlagent.domain.artifact.layout import REPORT
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.report import Report, ReportError, SourceReport, parse_report
from dlagent.domain.artifact.request import (
    DATASET_FIELD,
    STUDENT_FIELD,
    BuildRequest,
    Simulated,
    artifact_key,
    key_inputs,
    pinned_files,
)
from dlagent.domain.artifact.summary import (
    FailureReason,
    Outcome,
    Summary,
    failed,
    of_manifest,
)
from dlagent.domain.search.halving import EFFORTS

_STALE_STAGING_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Places:
    """Where a build reads and writes: mounted claims, the artifact store, room for copies."""

    sources: Path
    store: FolderStore
    scratch: Path
    local_files: bool = False  # whether file:// is a source


def build(
    request: BuildRequest,
    places: Places,
    progress: Progress,
    efforts: Sequence[float] = EFFORTS,
) -> Summary:
    """Build, or find, the artifact that a request asks for. Never raises but on interruption."""
    source: Source | None = None
    try:
        progress.begin("fetch", f"reading {request.source_uri}")
        places.store.sweep_staging(time.time(), _STALE_STAGING_SECONDS)
        source = fetch(request, places.sources, places.scratch, places.local_files)
        key = artifact_key(request, source.sha256)
        known = _known(places.store, key)
        if known is not None:
            progress.end()
            text = f"artifact {key[:12]} is known"
            return _told(places.store, known, Outcome.CACHED, text, source)
        manifest = _Build(request, places, progress).make(source, key, efforts)
        progress.end()
        message = _success(manifest, request.target.simulated)
        return _told(places.store, manifest, Outcome.PUBLISHED, message, source)
    except GateFailedError as error:
        return with_candidates(
            _failure(progress, error.reason, error.message, source),
            error.candidates,
            error.metric,
        )
    except BuildError as error:
        return _failure(progress, error.reason, error.message, source)
    except (ArtifactCorruptError, ArtifactMissingError) as error:
        return _failure(progress, FailureReason.INTERNAL, f"the store: {error}", source)
    except OSError as error:
        if is_out_of_space(error):
            text = (
                f"no space left ({error.filename or 'on the store or in scratch'}); enlarge the"
                " volume, or delete artifacts that no agent uses"
            )
            return _failure(progress, FailureReason.NO_SPACE, text, source)
        return _failure(progress, FailureReason.INTERNAL, f"{error}", source)
    except MemoryError:
        text = "out of memory; raise spec.build.resources.limits.memory"
        return _failure(progress, FailureReason.INTERNAL, text, source)
    except Exception as error:  # noqa: BLE001  # the process boundary: it must be reported
        text = f"{type(error).__name__}: {runtime.first_line(error)}; this is a fault of DLAgent"
        return _failure(progress, FailureReason.INTERNAL, text, source)


def _told(
    store: FolderStore, manifest: Manifest, outcome: Outcome, message: str, source: Source
) -> Summary:
    """The summary of an artifact that is in the store, with what its report tells."""
    summary = of_manifest(manifest, outcome, message, source.sha256)
    entry = store.table(manifest.key)[REPORT]
    try:
        text = b"".join(store.verified_chunks(manifest.key, REPORT, entry))
        return with_report(summary, parse_report(text))
    except ReportError:
        return summary  # another version of DLAgent wrote it: it serves all the same


def _known(store: FolderStore, key: str) -> Manifest | None:
    """The artifact that is there already and intact; a damaged one is moved out of the way."""
    try:
        store.verify(key)
        return Manifest.model_validate_json(store.manifest(key))
    except ArtifactMissingError:
        return None
    except (ArtifactCorruptError, ValidationError):
        store.set_aside(key)
        return None


@dataclass(frozen=True)
class _Build:
    """One build whose artifact is not known yet."""

    request: BuildRequest
    places: Places
    progress: Progress

    def make(self, source: Source, key: str, efforts: Sequence[float]) -> Manifest:
        request, progress = self.request, self.progress
        beside = self._fetch_beside()
        loaded, versions = self._load(source, beside)
        optimised = optimise(request, loaded, progress, self.places.scratch, efforts)
        network = optimised.network
        progress.begin("fuse", f"fusing {len(request.perceive) + len(request.act)} steps")
        fused = fuse(network, request)
        data = fused.model.SerializeToString(deterministic=True)
        session = runtime.Session(data)
        progress.begin("parity", "comparing with the network on random inputs")
        parity = check_parity(optimised.run, network, fused, session)
        check = golden(session, fused.interface, network.free_size)
        simulated = request.target.simulated
        progress.begin("measure", f"measuring batches of up to 32{_aside(simulated)}")
        tau = measure(session, fused.interface, network.free_size, simulated)
        progress.begin("publish", f"publishing artifact {key[:12]}")
        built = Built(
            key=key,
            key_inputs=key_inputs(request, source.sha256),
            model=data,
            precision=optimised.candidate.precision,
            interface=fused.interface,
            tau=tau,
            self_check=check,
            versions=versions,
            simulated=simulated,
        )
        report = _report(request, source, built, optimised, parity, progress)
        return publish(self.places.store, built, report)

    def _fetch_beside(self) -> dict[str, Path]:
        """The data set and the student, by the field of the spec that names them."""
        found = {}
        for field, file in pinned_files(self.request).items():
            self.progress.begin("fetch", f"reading {file.uri}")
            scratch = self.places.scratch / field
            scratch.mkdir()
            wanted = self.request.model_copy(
                update={"source_uri": file.uri, "source_sha256": file.sha256}
            )
            found[field] = fetch(wanted, self.places.sources, scratch, self.places.local_files).path
        return found

    def _load(self, source: Source, beside: dict[str, Path]) -> tuple[Loaded, dict[str, str]]:
        request, progress = self.request, self.progress
        versions = {"onnx": onnx.__version__, "onnxruntime": runtime.VERSION}
        progress.begin("load", "checking the model")
        format_ = detect(request, source.path)
        files = (beside.get(DATASET_FIELD), beside.get(STUDENT_FIELD))
        if format_ == ModelFormat.ONNX:
            model = load_onnx(source.path, request.target.triton_version)
            network = inspect(model)
            progress.begin("export", f"ONNX already, opset {main_opset(model)}")
            return Loaded(network, as_run(network), None, *files), versions
        program = exported_program.load_program(source.path)
        progress.begin("export", "exporting to ONNX")
        network = inspect(exported_program.export(program, request))
        versions["torch"] = exported_program.torch_version()
        return Loaded(network, exported_program.runner(program), source.path, *files), versions


def _report(
    request: BuildRequest,
    source: Source,
    built: Built,
    optimised: Optimised,
    parity: float,
    progress: Progress,
) -> Report:
    return Report(
        key=built.key,
        source=SourceReport(
            uri=request.source_uri, sha256=source.sha256, size_bytes=source.size_bytes
        ),
        request=request.model_dump(mode="json", by_alias=True, exclude_none=True),
        chosen=optimised.candidate.name,
        candidates=optimised.candidates,
        data=optimised.data,
        gate=optimised.gate,
        parity_largest_error=float(f"{parity:.3g}"),
        batched=built.interface.batched,
        tau=built.tau,
        tau_measured_on=str(built.simulated) if built.simulated is not None else None,
        machine={"instructionSet": instruction_set()},
        stage_seconds=dict(progress.seconds),
        versions=built.versions,
    )


def _success(manifest: Manifest, simulated: Simulated | None) -> str:
    first, last = manifest.tau[0], manifest.tau[-1]
    times = f"batch {first.batch} in {first.milliseconds:.3g} ms"
    if last is not first:
        times += f", batch {last.batch} in {last.milliseconds:.3g} ms"
    times += _aside(simulated)
    return f"{manifest.engine} {manifest.precision}, {manifest.size_bytes()} bytes; {times}"


def _aside(simulated: Simulated | None) -> str:
    """What belongs behind every time that was not taken on real hardware."""
    return f" ({simulated})" if simulated is not None else ""


def _failure(
    progress: Progress, reason: FailureReason, message: str, source: Source | None
) -> Summary:
    return failed(reason, f"{progress.stage}: {message}", source.sha256 if source else None)
