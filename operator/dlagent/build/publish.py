"""Stage 7: the artifact's files; dlagent.build.stored publishes them."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from dlagent.build.repository import repository
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.ensemble import Configs, render
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.layout import (
    MANIFEST,
    REPORT,
    REPORT_PAGE,
    REPORT_PICTURE,
)
from dlagent.domain.artifact.manifest import ArtifactFile, Manifest
from dlagent.domain.artifact.report import Report
from dlagent.domain.artifact.request import Scripts, Simulated
from dlagent.domain.artifact.selfcheck import SelfCheck
from dlagent.domain.artifact.triton_config import ServingPlan

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
    scripts: Scripts = field(default_factory=Scripts)
    engine: Engine = Engine.ONNX_RUNTIME


def artifact_files(built: Built, report: Report) -> dict[str, bytes]:
    """All files of the artifact by their path in it, the manifest among them."""
    files = {
        **repository(built.model, _plain_configs(built), built.scripts, built.engine),
        **_report_files(report),
    }
    manifest = Manifest(
        key=built.key,
        key_inputs=built.key_inputs,
        files={
            path: ArtifactFile(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
            for path, data in files.items()
        },
        engine=built.engine,
        precision=built.precision,
        interface=built.interface,
        tau=built.tau,
        self_check=built.self_check,
        versions=built.versions,
    )
    return files | {MANIFEST: manifest.to_json().encode()}


def _report_files(report: Report) -> dict[str, bytes]:
    """report.json, and where there was something to choose, what people look at."""
    files = {REPORT: report.to_json().encode()}
    if report.gate is not None:
        from dlagent.report import page, picture  # matplotlib takes seconds

        files[REPORT_PAGE] = page.html(report).encode()
        files[REPORT_PICTURE] = picture.png(report)
    return files


def _plain_configs(built: Built) -> Configs:
    size = _PLAIN_BATCH if built.interface.batched else 0
    plan = ServingPlan(size, 0, 1, accelerated=built.engine is Engine.TENSORRT)
    return render(built.interface, plan, built.engine, built.simulated)
