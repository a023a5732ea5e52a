"""The build: its stages in order, and every way in which it can end as a Summary.

Called by `python -m dlagent.build job` in the cluster and by `dlagent build` without one.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    ArtifactStore,
    is_out_of_space,
)
from dlagent.build import runtime
from dlagent.build.failure import BuildError
from dlagent.build.fetch import Source, fetch_file, fetch_model
from dlagent.build.fuse import fuse
from dlagent.build.golden import golden
from dlagent.build.load import load
from dlagent.build.machine import instruction_set
from dlagent.build.measure import Subject, measure
from dlagent.build.network import Network
from dlagent.build.optimise import GateFailedError, Optimised, optimise
from dlagent.build.parity import check_parity
from dlagent.build.progress import Progress
from dlagent.build.publish import Built, publish
from dlagent.build.scripts import ensemble
from dlagent.build.sources.base import Access, Wanted
from dlagent.build.sources.cache import Downloads
from dlagent.domain.artifact.candidates import with_candidates, with_report
from dlagent.domain.artifact.layout import REPORT, STALE_STAGING_SECONDS
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.python_steps import network_request
from dlagent.domain.artifact.report import Report, ReportError, SourceReport, parse_report
from dlagent.domain.artifact.request import (
    BuildRequest,
    Scripts,
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
from dlagent.domain.artifact.triton_config import ENGINE
from dlagent.domain.search.halving import EFFORTS
from dlagent.domain.tuning.table import plainest

# What of a request is about this cluster's network and store, and nothing that a reader needs.
_OF_THE_NETWORK = {"allowed_hosts", "download_cache_bytes"}


@dataclass(frozen=True)
class Places:
    """Where a build reads and writes: mounted claims, the artifact store, room for copies.

    `credentials` holds the files of the source's Secret, `downloads` is the folder of the store
    that downloads are kept in (None: they are not). `local_files`: whether file:// is a source.
    `trials` is the folder shared with the Triton to measure on, if there is one.
    """

    sources: Path
    store: ArtifactStore
    scratch: Path
    credentials: Path = Path("/credentials")
    downloads: Path | None = None
    local_files: bool = False
    trials: Path | None = None


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
        places.store.sweep_staging(time.time(), STALE_STAGING_SECONDS)
        access, cache = _access(request, places)
        source = fetch_model(request, access, places.scratch, cache)
        key = artifact_key(request, source.sha256)
        known = _known(places.store, key)
        if known is not None:
            progress.end()
            text = f"artifact {key[:12]} is known"
            return _told(places.store, known, Outcome.CACHED, text, source)
        manifest, how = _Build(request, places, progress).make(source, key, efforts)
        progress.end()
        message = f"{_success(manifest, request.target.simulated)}; {how}"
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


def _access(request: BuildRequest, places: Places) -> tuple[Access, Downloads | None]:
    """How sources are reached, and where downloads are kept."""
    access = Access(
        places.sources, places.credentials, tuple(request.allowed_hosts), places.local_files
    )
    if places.downloads is None or not request.download_cache_bytes:
        return access, None
    cache = Downloads(places.downloads, request.download_cache_bytes)
    cache.sweep(time.time())
    return access, cache


def _told(
    store: ArtifactStore, manifest: Manifest, outcome: Outcome, message: str, source: Source
) -> Summary:
    """The summary of an artifact that is in the store, with what its report tells."""
    summary = of_manifest(manifest, outcome, message, source.sha256)
    entry = store.table(manifest.key)[REPORT]
    try:
        text = b"".join(store.verified_chunks(manifest.key, REPORT, entry))
        return with_report(summary, parse_report(text))
    except ReportError:
        return summary  # another version of DLAgent wrote it: it serves all the same


def _known(store: ArtifactStore, key: str) -> Manifest | None:
    """The artifact that is there already and intact; a damaged one is moved out of the way."""
    try:
        store.touch(key)  # first: a sweep that goes on now leaves it, or has taken it already
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

    def make(self, source: Source, key: str, efforts: Sequence[float]) -> tuple[Manifest, str]:
        """The artifact, and how its times were measured."""
        beside = self._fetch_beside()
        if self.request.scripts != Scripts():
            self.progress.begin("load", "importing the Python steps")
        with (
            ensemble.started(self.request, self.places.scratch) as scripts,
            ensemble.explained(scripts),
        ):
            return self._make(source, key, efforts, beside, scripts)

    def _make(
        self,
        source: Source,
        key: str,
        efforts: Sequence[float],
        beside: Mapping[str, Path],
        scripts: ensemble.Scripts,
    ) -> tuple[Manifest, str]:
        progress, request = self.progress, network_request(self.request)
        loaded = load(request, source, beside, progress)
        _try_scripts(scripts, loaded.network, request)
        optimised = optimise(request, loaded, progress, self.places.scratch, efforts, scripts.front)
        network = optimised.network
        whole = (
            f"; requests are not batched: {network.whole_because}" if network.whole_because else ""
        )
        progress.begin("fuse", f"fusing {len(request.perceive) + len(request.act)} steps{whole}")
        fused = fuse(network, request)
        data = fused.model.SerializeToString(deterministic=True)
        session = runtime.Session(data)
        progress.begin("parity", "comparing with the network on random inputs")
        parity = check_parity(optimised.run, network, fused, session)
        precision = optimised.candidate.precision
        interface = ensemble.whole_interface(scripts, fused.interface)
        agent = ensemble.Agent(scripts, session, network.batched)
        check = golden(agent, interface, network.free_size, precision)
        simulated = request.target.simulated
        progress.begin("measure", f"measuring how long batches take{_aside(simulated)}")
        subject = Subject(data, interface, ENGINE, network.free_size, request.scripts)
        measured = measure(subject, agent, request.target, self.places.trials)
        progress.begin("publish", f"publishing artifact {key[:12]}")
        built = Built(
            key=key,
            key_inputs=key_inputs(self.request, source.sha256),
            model=data,
            precision=precision,
            interface=interface,
            tau=measured.tau,
            measured=measured.how,
            self_check=check,
            versions=loaded.versions,
            simulated=simulated,
            scripts=request.scripts,
        )
        report = _report(self.request, source, built, optimised, parity, progress)
        return publish(self.places.store, built, report), measured.how

    def _fetch_beside(self) -> dict[str, Path]:
        """The data set and the student, by the field of the spec that names them."""
        access, cache = _access(self.request, self.places)
        found = {}
        for number, (field, file) in enumerate(pinned_files(self.request).items()):
            self.progress.begin("fetch", f"reading {file.uri}")
            target = self.places.scratch / f"beside-{number}"
            wanted = Wanted(file.uri, file.sha256, self.request.max_source_bytes, field)
            fetch_file(wanted, access, target, cache)
            found[field] = target
        return found


def _try_scripts(scripts: ensemble.Scripts, network: Network, request: BuildRequest) -> None:
    """Around the source, before the search takes its time."""
    if scripts == ensemble.Scripts():
        return
    fused = fuse(network, request)
    session = runtime.Session(fused.model.SerializeToString())
    interface = ensemble.whole_interface(scripts, fused.interface)
    try:
        ensemble.check_scripts(scripts, session, interface, network)
    except runtime.RunError as error:
        raise BuildError(
            FailureReason.SHAPE_MISMATCH,
            f"the network does not take what the python step makes: {error}; correct the script, or"
            " its outputs in the spec",
        ) from error


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
        request=request.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude=_OF_THE_NETWORK
        ),
        chosen=optimised.candidate.name,
        candidates=optimised.candidates,
        data=optimised.data,
        gate=optimised.gate,
        parity_largest_error=float(f"{parity:.3g}"),
        batched=built.interface.batched,
        not_batched_because=optimised.network.whole_because,
        tau=built.tau,
        tau_measured=built.measured,
        tau_measured_on=str(built.simulated) if built.simulated is not None else None,
        machine={"instructionSet": instruction_set()},
        stage_seconds=dict(progress.seconds),
        versions=built.versions,
    )


def _success(manifest: Manifest, simulated: Simulated | None) -> str:
    points = plainest(manifest.tau)
    first, last = points[0], points[-1]
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
