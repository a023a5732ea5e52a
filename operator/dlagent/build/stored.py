"""What the store has of an artifact, and what a build tells of it.

Called where a build begins (`known`) and where it ends (`publish`).
"""

from collections.abc import Mapping

from pydantic import ValidationError

from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    ArtifactStore,
    Publication,
)
from dlagent.domain.artifact.candidates import with_report
from dlagent.domain.artifact.layout import MANIFEST, REPORT
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.report import Report, ReportError, parse_report
from dlagent.domain.artifact.request import BuildRequest, Simulated, artifact_key
from dlagent.domain.artifact.summary import Outcome, Summary, of_manifest
from dlagent.domain.tuning.table import plainest


def known(store: ArtifactStore, request: BuildRequest, source_sha256: str) -> Summary | None:
    """The artifact that is there already and intact; a damaged one is moved out of the way.

    Raises:
        OSError: the store failed.
    """
    key = artifact_key(request, source_sha256)
    try:
        store.touch(key)  # first: a sweep that goes on now leaves it, or has taken it already
        store.verify(key)
        manifest = Manifest.model_validate_json(store.manifest(key))
    except ArtifactMissingError:
        return None
    except (ArtifactCorruptError, ValidationError):
        store.set_aside(key)
        return None
    summary = of_manifest(manifest, Outcome.CACHED, f"artifact {key[:12]} is known", source_sha256)
    report = _report(store, key)
    return with_report(summary, report) if report is not None else summary


def publish(
    store: ArtifactStore, request: BuildRequest, source_sha256: str, files: Mapping[str, bytes]
) -> Summary:
    """Put an artifact into the store, and tell of what is there in the end.

    Where another build of the key was first, its artifact is the one.

    Raises:
        OSError: no space, or the store failed; nothing was published.
        ArtifactMissingError, ArtifactCorruptError: the other build's artifact went away again.
    """
    key = artifact_key(request, source_sha256)
    if store.publish(key, files) == Publication.ALREADY_THERE:
        store.verify(key)
        manifest = Manifest.model_validate_json(store.manifest(key))
    else:
        manifest = Manifest.model_validate_json(files[MANIFEST])
    report = _report(store, key)
    message = _success(manifest, request.target.simulated)
    if report is None:
        return of_manifest(manifest, Outcome.PUBLISHED, message, source_sha256)
    message += f"; {report.tau_measured}"
    return with_report(of_manifest(manifest, Outcome.PUBLISHED, message, source_sha256), report)


def _report(store: ArtifactStore, key: str) -> Report | None:
    """None where another version of DLAgent wrote it: the artifact serves all the same."""
    try:
        return parse_report(b"".join(store.verified_chunks(key, REPORT, store.table(key)[REPORT])))
    except (KeyError, ReportError):
        return None


def _success(manifest: Manifest, simulated: Simulated | None) -> str:
    points = plainest(manifest.tau)
    first, last = points[0], points[-1]
    times = f"batch {first.batch} in {first.milliseconds:.3g} ms"
    if last is not first:
        times += f", batch {last.batch} in {last.milliseconds:.3g} ms"
    times += aside(simulated)
    return f"{manifest.engine} {manifest.precision}, {manifest.size_bytes()} bytes; {times}"


def aside(simulated: Simulated | None) -> str:
    """What belongs behind every time that was not taken on real hardware."""
    return f" ({simulated})" if simulated is not None else ""
