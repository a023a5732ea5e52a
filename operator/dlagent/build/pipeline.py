"""The build: its stages in order.

`build` goes through all of them in one process, for `dlagent build`. In the cluster they are shared
out: dlagent.build.containers says how.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlagent.build import runtime
from dlagent.build.accelerator.on_triton import machine as machine_for
from dlagent.build.chosen import Chosen, choose
from dlagent.build.cpu import instruction_set
from dlagent.build.failure import BuildError, told
from dlagent.build.fetch import Source
from dlagent.build.fuse import fuse
from dlagent.build.gather import Gathered, gather
from dlagent.build.load import load
from dlagent.build.measure import Subject, measure
from dlagent.build.network import Network
from dlagent.build.optimise import Optimised
from dlagent.build.places import Places
from dlagent.build.progress import Progress
from dlagent.build.publish import Built, artifact_files
from dlagent.build.scripts import ensemble
from dlagent.build.stored import aside, publish
from dlagent.domain.artifact.python_steps import network_request
from dlagent.domain.artifact.report import Report, SourceReport
from dlagent.domain.artifact.request import BuildRequest, Scripts, artifact_key, key_inputs
from dlagent.domain.artifact.summary import FailureReason, Summary
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
    if request.scripts != Scripts():
        progress.begin("load", "importing the Python steps")
    with ensemble.started(request, scratch) as scripts, ensemble.explained(scripts):
        return _Making(request, scratch, trials, progress, scripts).files(gathered, efforts)


@dataclass(frozen=True)
class _Making:
    """One build whose artifact is not known yet. `scripts` run the Python steps."""

    request: BuildRequest
    scratch: Path
    trials: Path | None
    progress: Progress
    scripts: ensemble.Scripts

    def files(self, gathered: Gathered, efforts: Sequence[float]) -> dict[str, bytes]:
        """Those of the artifact."""
        progress, source, scripts = self.progress, gathered.source, self.scripts
        request = network_request(self.request)
        loaded = load(request, source, gathered.beside, progress)
        _try_scripts(scripts, loaded.network, request)
        target = request.target
        if target.has_real_accelerator and self.trials is not None:
            progress.begin("search", f"waiting for Triton on {target.accelerator}")
        with machine_for(target, loaded.network, self.trials, request.search_seconds) as machine:
            chosen = choose(request, loaded, scripts, machine, self.scratch, progress, efforts)
        simulated = request.target.simulated
        progress.begin("measure", f"measuring how long batches take{aside(simulated)}")
        free_size = loaded.network.free_size
        subject = Subject(
            chosen.network,
            chosen.interface,
            chosen.optimised.candidate.engine,
            free_size,
            request.scripts,
        )
        measured = measure(subject, chosen.agent, request.target, self.trials)
        progress.begin("publish", "writing the report")
        built = Built(
            key=artifact_key(self.request, source.sha256),
            key_inputs=key_inputs(self.request, source.sha256),
            model=chosen.network,
            precision=chosen.optimised.candidate.precision,
            interface=chosen.interface,
            tau=measured.tau,
            measured=measured.how,
            self_check=chosen.self_check,
            versions=loaded.versions,
            simulated=simulated,
            scripts=request.scripts,
            engine=chosen.optimised.candidate.engine,
        )
        report = _report(self.request, source, built, chosen, progress)
        return artifact_files(built, report)


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


def _machine(request: BuildRequest, optimised: Optimised) -> dict[str, str]:
    told = {"instructionSet": instruction_set()}
    target = request.target
    if optimised.on_accelerator:
        told["comparedOn"] = target.accelerator_product or target.accelerator
    return told


def _report(
    request: BuildRequest,
    source: Source,
    built: Built,
    chosen: Chosen,
    progress: Progress,
) -> Report:
    optimised = chosen.optimised
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
        parity_largest_error=float(f"{chosen.parity:.3g}"),
        batched=built.interface.batched,
        not_batched_because=optimised.network.whole_because,
        tau=built.tau,
        tau_measured=built.measured,
        tau_measured_on=str(built.simulated) if built.simulated is not None else None,
        machine=_machine(request, optimised),
        stage_seconds=dict(progress.seconds),
        versions=built.versions,
    )
