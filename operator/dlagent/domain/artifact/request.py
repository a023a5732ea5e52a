"""What is built, and the two names that follow from it: the artifact's key and the build's id.

The reconciler makes a `BuildRequest` from a spec and hands it to the build Job; the Job derives the
key from the request and the digest of the source that it read, and so can the reconciler where the
digest is known. Equal keys mean equal artifacts: whatever decides an artifact's content is in the
key, and nothing else is.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from dlagent.api.types import (
    ActStep,
    ApiModel,
    DLAgentSpec,
    EngineChoice,
    ModelFormat,
    PerceiveStep,
    Tensor,
)
from dlagent.domain.artifact.decimals import canonical_decimal
from dlagent.domain.artifact.engine import CPU, Engine
from dlagent.domain.artifact.optimise import (
    Optimise,
    PinnedFile,
    optimise_inputs,
    optimise_of,
    search_seconds,
)

# Raised only when the same inputs would give an artifact of another kind.
RECIPE_VERSION = 2

DATASET_FIELD = "spec.build.dataset"
STUDENT_FIELD = "spec.build.distill.student"
# The fields of steps that hold decimals, which may be written in several ways.
_DECIMAL_FIELDS = {
    "scale": ("multiply",),
    "normalize": ("mean", "std"),
    "threshold": ("value",),
}

_ENGINES = {EngineChoice.AUTO: None, EngineChoice.ONNX_RUNTIME: Engine.ONNX_RUNTIME}

_FORMAT_OF_SUFFIX = {
    ".onnx": ModelFormat.ONNX,
    ".pt2": ModelFormat.EXPORTED_PROGRAM,
    ".safetensors": ModelFormat.SAFE_TENSORS,
}


class Factory(ApiModel):
    """What makes the network that weights belong to: module:callable in an image.

    What the callable does is known by the image's name alone: another image is another network.
    """

    callable: str
    image: str | None = None


class Simulated(ApiModel):
    """An accelerator that is not there: a batch of b rows takes base + b * per_item, in ms.

    The local cluster's serving backend and the build wait that long for each batch, though they
    compute it on the CPU, so that more replicas help on a machine of two cores.
    """

    base_milliseconds: float
    per_item_milliseconds: float

    def milliseconds(self, rows: int) -> float:
        """How long a batch of so many rows takes."""
        return self.base_milliseconds + rows * self.per_item_milliseconds

    def __str__(self) -> str:
        base, per_item = self.base_milliseconds, self.per_item_milliseconds
        return f"simulated, {base:g} ms + {per_item:g} ms a request"


class Scripts(ApiModel):
    """The text of the Python steps; None where there is no such step, or no such script."""

    perceive: str | None = None
    act: str | None = None


class Target(ApiModel):
    """What an artifact is built for, from the runtime profile in the operator's settings.

    `accelerator_product` is the kind of accelerator that all replicas have, such as
    NVIDIA-A100-SXM4-40GB; None where they may have several. Engines of TensorRT are made for it,
    by what is in `runtime_image`.
    """

    triton_version: str
    accelerator: str
    accelerator_product: str | None = None
    runtime_image: str | None = None
    simulated: Simulated | None = None

    @property
    def accelerated(self) -> bool:
        """Whether it is served on something else than a CPU."""
        return self.accelerator != CPU

    @property
    def has_real_accelerator(self) -> bool:
        """Whether that is hardware, whose times no CPU can tell."""
        return self.accelerated and self.simulated is None

    def hardware(self) -> str:
        """What the artifact's times were and will be taken on, as people say it."""
        if self.simulated is not None:
            return str(self.simulated)
        return self.accelerator_product or self.accelerator


class BuildRequest(ApiModel):
    """All that the build Job needs to know; it travels as JSON in DLAGENT_BUILD_REQUEST."""

    source_uri: str
    source_sha256: str | None = None
    format: ModelFormat | None = None
    factory: Factory | None = None
    inputs: list[Tensor] | None = None
    outputs: list[Tensor] | None = None
    perceive: list[PerceiveStep] = Field(default_factory=list)
    act: list[ActStep] = Field(default_factory=list)
    scripts: Scripts = Field(default_factory=Scripts, exclude_if=lambda its: its == Scripts())
    target: Target
    max_source_bytes: int
    optimise: Optimise | None = None
    engine: Engine | None = Field(default=None, exclude_if=lambda its: its is None)
    search_seconds: float = 1800.0
    allowed_hosts: list[str] = Field(default_factory=list)
    download_cache_bytes: int = 0


def build_request(
    spec: DLAgentSpec,
    source_sha256: str | None,
    target: Target,
    max_source_bytes: int,
    allowed_hosts: Sequence[str] = (),
    download_cache_bytes: int = 0,
    image: str | None = None,
    scripts: Scripts | None = None,
) -> BuildRequest:
    """The request for a spec; `source_sha256` is the digest to insist on, if one is known.

    `allowed_hosts` are patterns of hosts whose addresses may be private; `download_cache_bytes`
    is how much of the store may hold downloads, 0 for none; `image` is that of the build; `scripts`
    are those of the Python steps.
    """
    model = spec.model
    return BuildRequest(
        source_uri=model.source.uri,
        source_sha256=source_sha256,
        format=model.format,
        factory=Factory(callable=model.factory, image=image) if model.factory else None,
        inputs=model.inputs,
        outputs=model.outputs,
        perceive=list(spec.perceive or []),
        act=list(spec.act or []),
        scripts=scripts or Scripts(),
        target=target,
        max_source_bytes=max_source_bytes,
        optimise=optimise_of(spec.build),
        engine=_ENGINES[spec.build.engine],
        search_seconds=search_seconds(spec.build),
        allowed_hosts=list(allowed_hosts),
        download_cache_bytes=download_cache_bytes,
    )


def effective_format(request: BuildRequest) -> ModelFormat | None:
    """The format given, else the one that the URI's suffix names; None where neither does."""
    if request.format is not None:
        return request.format
    path = request.source_uri.lower()
    return next((kind for suffix, kind in _FORMAT_OF_SUFFIX.items() if path.endswith(suffix)), None)


def key_inputs(request: BuildRequest, source_sha256: str) -> dict[str, Any]:
    """What decides an artifact's content, as plain JSON; kept in the manifest to explain a key."""
    inputs: dict[str, Any] = {
        "recipeVersion": RECIPE_VERSION,
        "sourceSha256": source_sha256,
        "format": effective_format(request),
        "inputs": _plain(request.inputs),
        "outputs": _plain(request.outputs),
        "perceive": [_canonical_step(step, request.scripts.perceive) for step in request.perceive],
        "act": [_canonical_step(step, request.scripts.act) for step in request.act],
        "optimise": optimise_inputs(request.optimise),
        "target": request.target.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    if request.engine is not None:
        inputs["engine"] = request.engine
    if request.factory is not None:
        inputs["factory"] = request.factory.model_dump(mode="json", by_alias=True)
    return inputs


def artifact_key(request: BuildRequest, source_sha256: str) -> str:
    """The artifact's name in the store: 64 hexadecimal digits."""
    return _digest(key_inputs(request, source_sha256))


def build_id(request: BuildRequest, retry: str | None) -> str:
    """The name of the build itself: 16 hexadecimal digits.

    It differs from the key in that it is known before the source was read, so it covers the URIs,
    and the value of the retry annotation, by which a person asks for another try. The size limit
    is left out: raising it for all must not build everything again.
    """
    digest_or_uri = key_inputs(request, request.source_sha256 or "")
    return _digest(digest_or_uri | {"uris": read_uris(request), "retry": retry})[:16]


def read_uris(request: BuildRequest) -> list[str]:
    """All that a build reads: the source first, then what is beside it."""
    return [request.source_uri, *(file.uri for file in pinned_files(request).values())]


def pinned_files(request: BuildRequest) -> dict[str, PinnedFile]:
    """The files beside the source that a build reads, by the field of the spec that names them."""
    optimise = request.optimise
    if optimise is None:
        return {}
    files = {DATASET_FIELD: optimise.dataset}
    if optimise.student is not None:
        files[STUDENT_FIELD] = optimise.student
    return files


def canonical_json(value: object) -> str:
    """JSON that is equal where the values are equal: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _canonical_step(step: PerceiveStep | ActStep, script: str | None) -> dict[str, Any]:
    plain: dict[str, Any] = step.model_dump(mode="json", by_alias=True, exclude_none=True)
    if step.python is not None:  # by what the script is, not by where it lies
        digest = hashlib.sha256((script or "").encode()).hexdigest()
        return {"python": {"scriptSha256": digest, "outputs": _plain(step.python.outputs)}}
    for name, fields in _DECIMAL_FIELDS.items():
        if name in plain:
            numbers = {field: _canonical_decimals(plain[name][field]) for field in fields}
            plain[name] = plain[name] | numbers
    return plain


def _canonical_decimals(value: str | int | list[str | int]) -> str | list[str]:
    if isinstance(value, list):
        return [canonical_decimal(item) for item in value]
    return canonical_decimal(value)


def _plain(tensors: list[Tensor] | None) -> list[Any] | None:
    if tensors is None:
        return None
    return [tensor.model_dump(mode="json", by_alias=True) for tensor in tensors]


def _digest(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
