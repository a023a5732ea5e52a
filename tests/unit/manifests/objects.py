"""Objects that the tests of manifests have in common."""

from typing import Any

from dlagent.api.types import DLAgentSpec, Serving
from dlagent.domain.artifact.ensemble import Configs
from dlagent.domain.artifact.request import Target, build_request
from dlagent.manifests import build, deployment
from dlagent.manifests.common import Object, Owner
from dlagent.runtime.settings import ArtifactSettings, BuilderSettings, Egress
from tests.unit.reconcile.fake import SETTINGS

OWNER = Owner("vision", "shoes", "uid-1")
REVISION = deployment.Revision(
    "0123456789abcdef", "a" * 64, 10_000_000, Configs('backend: "onnxruntime"\n')
)
CLAIM = SETTINGS.artifacts
OBJECT_STORE = ArtifactSettings.model_validate(
    {
        "url": "s3://bucket/prefix/",
        "secretName": "store-keys",
        "egress": [{"cidr": "10.1.2.0/24", "port": 9000}],
    }
)


def serving_deployment(
    serving: Serving, artifacts: ArtifactSettings = CLAIM, **drain: int
) -> Object:
    settings = SETTINGS.drain.model_copy(update=drain)
    profile = SETTINGS.runtimes["triton"]
    return deployment.deployment(
        OWNER, REVISION, serving, profile, SETTINGS.builder, settings, artifacts
    )


def build_job(
    uri: str = "pvc://models/shoes.onnx",
    secret: str | None = None,
    artifacts: ArtifactSettings = CLAIM,
    builder: BuilderSettings = SETTINGS.builder,
    **fields: Any,
) -> Object:
    source = {"uri": uri} | ({"secretRef": {"name": secret}} if secret is not None else {})
    spec = DLAgentSpec.model_validate(
        {
            "model": {"source": source},
            "slo": {"latency": {"thresholdMilliseconds": 50}},
            **fields,
        }
    )
    target = Target(triton_version="24.10", accelerator="cpu")
    request = build_request(spec, None, target, 1000)
    profile = SETTINGS.runtimes["triton"]
    return build.job(OWNER, "b" * 16, request, spec, "o" * 16, builder, profile, artifacts)


EGRESS = [
    Egress.model_validate({"cidr": "10.1.2.0/24", "port": 9000}),
    Egress.model_validate({"cidr": "169.254.20.10/32", "port": 53, "protocol": "UDP"}),
]


def env_from(container: Any) -> list[Any]:
    found: list[Any] = container.get("envFrom", [])
    return found


def containers(obj: Object) -> list[Any]:
    spec = obj["spec"]["template"]["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def triton(obj: Object) -> Any:
    return obj["spec"]["template"]["spec"]["containers"][0]
