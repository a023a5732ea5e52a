"""Stage 7: the artifact's files, and their publication."""

import hashlib
from dataclasses import dataclass
from typing import Any

from dlagent.adapters.store import ArtifactStore, Publication
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.layout import CONFIG, MANIFEST, NETWORK, REPORT
from dlagent.domain.artifact.manifest import ArtifactFile, Manifest
from dlagent.domain.artifact.report import Report
from dlagent.domain.artifact.request import Simulated
from dlagent.domain.artifact.selfcheck import SelfCheck
from dlagent.domain.artifact.triton_config import ENGINE, ServingPlan, render_config

# config.pbtxt in the store is for whoever points Triton at the folder; the operator renders one
# for each revision. It must not depend on what was measured, so it is the same in every build.
_PLAIN_BATCH = 8


@dataclass(frozen=True)
class Built:
    """What the stages before have made."""

    key: str
    key_inputs: dict[str, Any]
    model: bytes
    precision: str
    interface: ModelInterface
    tau: list[TauPoint]
    measured: str  # how tau was
    self_check: SelfCheck
    versions: dict[str, str]
    simulated: Simulated | None  # what tau is of, where it is not of this machine


def publish(store: ArtifactStore, built: Built, report: Report) -> Manifest:
    """Put the artifact into the store; the manifest that is there in the end.

    Where another build of the key was first, its artifact is the one.

    Raises:
        OSError: no space, or the store failed; nothing was published.
        ArtifactMissingError, ArtifactCorruptError: the other build's artifact went away again.
    """
    files = {
        NETWORK: built.model,
        CONFIG: _plain_config(built).encode(),
        REPORT: report.to_json().encode(),
    }
    manifest = Manifest(
        key=built.key,
        key_inputs=built.key_inputs,
        files={
            path: ArtifactFile(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
            for path, data in files.items()
        },
        engine=ENGINE,
        precision=built.precision,
        interface=built.interface,
        tau=built.tau,
        self_check=built.self_check,
        versions=built.versions,
    )
    outcome = store.publish(built.key, files | {MANIFEST: manifest.to_json().encode()})
    if outcome == Publication.ALREADY_THERE:
        store.verify(built.key)
        return Manifest.model_validate_json(store.manifest(built.key))
    return manifest


def _plain_config(built: Built) -> str:
    size = _PLAIN_BATCH if built.interface.batched else 0
    return render_config(built.interface, ServingPlan(size, 0, 1), ENGINE, built.simulated)
