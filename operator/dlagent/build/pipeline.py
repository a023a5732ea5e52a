"""The build: its stages in order, and every way in which it can end as a Summary.

Called by `python -m dlagent.build job` in the cluster and by `dlagent build` without one.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from pydantic import ValidationError

from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    FolderStore,
    is_out_of_space,
)
from dlagent.api.types import ModelFormat
from dlagent.build import exported_program, runtime, weights
from dlagent.build.detect import detect
from dlagent.build.failure import BuildError
from dlagent.build.fetch import Source, fetch_model
from dlagent.build.fuse import fuse
from dlagent.build.golden import golden
from dlagent.build.measure import measure
from dlagent.build.network import Network, inspect
from dlagent.build.onnx_source import load_onnx, main_opset
from dlagent.build.parity import Run, check_parity
from dlagent.build.progress import Progress
from dlagent.build.publish import Built, publish
from dlagent.build.sources.base import Access
from dlagent.build.sources.cache import Downloads
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.request import BuildRequest, Simulated, artifact_key, key_inputs
from dlagent.domain.artifact.summary import (
    FailureReason,
    Outcome,
    Summary,
    failed,
    of_manifest,
)

# What of a request is about this cluster's network and store, and nothing that a reader needs.
_OF_THE_NETWORK = {"allowed_hosts", "download_cache_bytes"}
_STALE_STAGING_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Places:
    """Where a build reads and writes: mounted claims, the artifact store, room for copies.

    `credentials` holds the files of the source's Secret, `downloads` is the folder of the store
    that downloads are kept in (None: they are not). `local_files`: whether file:// is a source.
    """

    sources: Path
    store: FolderStore
    scratch: Path
    credentials: Path = Path("/credentials")
    downloads: Path | None = None
    local_files: bool = False


@dataclass(frozen=True)
class _Loaded:
    network: Network
    run: Run  # the source itself
    versions: dict[str, str]


def build(request: BuildRequest, places: Places, progress: Progress) -> Summary:
    """Build, or find, the artifact that a request asks for. Never raises but on interruption."""
    source: Source | None = None
    try:
        progress.begin("fetch", f"reading {request.source_uri}")
        places.store.sweep_staging(time.time(), _STALE_STAGING_SECONDS)
        source = _fetch(request, places)
        key = artifact_key(request, source.sha256)
        known = _known(places.store, key)
        if known is not None:
            progress.end()
            return of_manifest(
                known, Outcome.CACHED, f"artifact {key[:12]} is known", source.sha256
            )
        manifest = _make(request, source, key, places.store, progress)
        progress.end()
        message = _success(manifest, request.target.simulated)
        return of_manifest(manifest, Outcome.PUBLISHED, message, source.sha256)
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


def _fetch(request: BuildRequest, places: Places) -> Source:
    access = Access(
        places.sources, places.credentials, tuple(request.allowed_hosts), places.local_files
    )
    cache = None
    if places.downloads is not None and request.download_cache_bytes:
        cache = Downloads(places.downloads, request.download_cache_bytes)
        cache.sweep(time.time())
    return fetch_model(request, access, places.scratch, cache)


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


def _make(
    request: BuildRequest, source: Source, key: str, store: FolderStore, progress: Progress
) -> Manifest:
    loaded = _load(request, source, progress)
    network = loaded.network
    whole = f"; requests are not batched: {network.whole_because}" if network.whole_because else ""
    progress.begin("fuse", f"fusing {len(request.perceive) + len(request.act)} steps{whole}")
    fused = fuse(network, request)
    data = fused.model.SerializeToString(deterministic=True)
    session = runtime.Session(data)
    progress.begin("parity", "comparing with the source on random inputs")
    parity = check_parity(loaded.run, network, fused, session)
    check = golden(session, fused.interface, network.free_size)
    simulated = request.target.simulated
    progress.begin("measure", f"measuring batches of up to 32{_aside(simulated)}")
    tau = measure(session, fused.interface, network.free_size, simulated)
    progress.begin("publish", f"publishing artifact {key[:12]}")
    built = Built(
        key=key,
        key_inputs=key_inputs(request, source.sha256),
        model=data,
        interface=fused.interface,
        tau=tau,
        self_check=check,
        versions=loaded.versions,
        simulated=simulated,
    )
    report = _report(request, source, built, progress, parity)
    if network.whole_because is not None:
        report["notBatchedBecause"] = network.whole_because
    return publish(store, built, report)


def _load(request: BuildRequest, source: Source, progress: Progress) -> _Loaded:
    versions = {"onnx": onnx.__version__, "onnxruntime": runtime.VERSION}
    progress.begin("load", "checking the model")
    format_ = detect(request, source.path)
    if format_ == ModelFormat.ONNX:
        model = load_onnx(source, request.target.triton_version)
        network = inspect(model)
        progress.begin("export", f"ONNX already, opset {main_opset(model)}")
        return _Loaded(network, _as_run(network), versions)
    if format_ == ModelFormat.SAFE_TENSORS:
        program = weights.load_program(source.path, request)
    else:
        program = exported_program.load_program(source.path, request.max_source_bytes)
    progress.begin("export", "exporting to ONNX")
    network = inspect(exported_program.export(program, request))
    versions["torch"] = exported_program.torch_version()
    return _Loaded(network, exported_program.runner(program), versions)


def _as_run(network: Network) -> Run:
    session = runtime.Session(network.model.SerializeToString())
    names = [tensor.name for tensor in network.inputs]

    def run(inputs: list[runtime.Array]) -> list[runtime.Array]:
        answers = session.run(dict(zip(names, inputs, strict=True)))
        return [answers[tensor.name] for tensor in network.outputs]

    return run


def _report(
    request: BuildRequest, source: Source, built: Built, progress: Progress, parity: float
) -> dict[str, Any]:
    report: dict[str, Any] = {
        "formatVersion": 1,
        "key": built.key,
        "source": {
            "uri": request.source_uri,
            "sha256": source.sha256,
            "sizeBytes": source.size_bytes,
        },
        "request": request.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude=_OF_THE_NETWORK
        ),
        "parity": {"largestError": float(f"{parity:.3g}")},
        "tau": [point.model_dump() for point in built.tau],
        "batched": built.interface.batched,
        "stageSeconds": dict(progress.seconds),
        "versions": built.versions,
    }
    if built.simulated is not None:
        report["tauMeasuredOn"] = str(built.simulated)
    return report


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
