"""The build: its stages in order.

`build` goes through all of them in one process, for `dlagent build`. In the cluster they are shared
out: dlagent.build.containers says how.
"""

from collections.abc import Sequence
from pathlib import Path

from dlagent.build import runtime
from dlagent.build.failure import told
from dlagent.build.fetch import Source
from dlagent.build.fuse import fuse
from dlagent.build.gather import Gathered, gather
from dlagent.build.golden import golden
from dlagent.build.load import load
from dlagent.build.machine import instruction_set
from dlagent.build.measure import Subject, measure
from dlagent.build.optimise import Optimised, optimise
from dlagent.build.parity import check_parity
from dlagent.build.places import Places
from dlagent.build.progress import Progress
from dlagent.build.publish import Built, artifact_files
from dlagent.build.stored import aside, publish
from dlagent.domain.artifact.report import Report, SourceReport
from dlagent.domain.artifact.request import BuildRequest, artifact_key, key_inputs
from dlagent.domain.artifact.summary import Summary
from dlagent.domain.artifact.triton_config import ENGINE
from dlagent.domain.search.halving import EFFORTS

# What of a request is about this cluster's network and store, and nothing that a reader needs.
_OF_THE_NETWORK = {"allowed_hosts", "download_cache_bytes"}


def build(
    request: BuildRequest,
    places: Places,
    progress: Progress,
    efforts: Sequence[float] = EFFORTS,
) -> Summary:
    """Build, or find, the artifact that a request asks for. Never raises but on interruption."""
    return told(progress, lambda: _build(request, places, progress, efforts))


def _build(
    request: BuildRequest, places: Places, progress: Progress, efforts: Sequence[float]
) -> Summary:
    gathered = gather(request, places, progress)
    if gathered.known is not None:
        return gathered.known
    files = make(request, gathered, places.scratch, places.trials, progress, efforts)
    sha256 = gathered.source.sha256
    progress.begin("publish", f"publishing artifact {artifact_key(request, sha256)[:12]}")
    return publish(places.store, request, sha256, files)


def make(
    request: BuildRequest,
    gathered: Gathered,
    scratch: Path,
    trials: Path | None,
    progress: Progress,
    efforts: Sequence[float] = EFFORTS,
) -> dict[str, bytes]:
    """The files of the artifact, its manifest among them. What is untrusted is read here.

    Raises:
        BuildError: as the stages do.
        OSError: no space in `scratch`.
    """
    source = gathered.source
    loaded = load(request, source, gathered.beside, progress)
    optimised = optimise(request, loaded, progress, scratch, efforts)
    network = optimised.network
    whole = f"; requests are not batched: {network.whole_because}" if network.whole_because else ""
    progress.begin("fuse", f"fusing {len(request.perceive) + len(request.act)} steps{whole}")
    fused = fuse(network, request)
    data = fused.model.SerializeToString(deterministic=True)
    session = runtime.Session(data)
    progress.begin("parity", "comparing with the network on random inputs")
    parity = check_parity(optimised.run, network, fused, session)
    precision = optimised.candidate.precision
    check = golden(session, fused.interface, network.free_size, precision)
    simulated = request.target.simulated
    progress.begin("measure", f"measuring how long batches take{aside(simulated)}")
    subject = Subject(data, fused.interface, ENGINE, network.free_size)
    measured = measure(subject, session, request.target, trials)
    progress.begin("publish", "writing the report")
    built = Built(
        key=artifact_key(request, source.sha256),
        key_inputs=key_inputs(request, source.sha256),
        model=data,
        precision=precision,
        interface=fused.interface,
        tau=measured.tau,
        measured=measured.how,
        self_check=check,
        versions=loaded.versions,
        simulated=simulated,
    )
    report = _report(request, source, built, optimised, parity, progress)
    return artifact_files(built, report)


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
