"""The result of a build as its termination message, which is how the operator learns of it.

kubelet keeps 12 KiB of a pod's messages, shared out evenly among its containers, so
`Summary.to_message` leaves out what can be spared until it fits; what the operator needs to serve
the artifact (interface, tau, a self-check) is never cut into something false.
"""

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field, ValidationError

from dlagent.api.status import CandidateStatus, Figure, Large, Name, Sentence, Text
from dlagent.api.types import ApiModel
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.artifact.selfcheck import SelfCheck
from dlagent.domain.tuning.table import plainest

MESSAGE_BYTES = 12 * 1024 // 4 - 1  # a build's pod has four containers: see manifests.build
_SENTENCE_CHARACTERS = 1000
_Digest = Annotated[str, Field(max_length=64)]

EXIT_OK = 0
EXIT_TERMINAL = 3  # trying again cannot help
EXIT_TRANSIENT = 4


class Outcome(StrEnum):
    PUBLISHED = "Published"
    CACHED = "Cached"
    FAILED = "Failed"


class FailureReason(StrEnum):
    """Why a build failed; a closed list, since conditions are made of it."""

    SOURCE_UNAVAILABLE = "SourceUnavailable"
    DIGEST_MISMATCH = "DigestMismatch"
    SOURCE_TOO_LARGE = "SourceTooLarge"
    INVALID_MODEL = "InvalidModel"
    UNSUPPORTED_OPERATOR = "UnsupportedOperator"
    PICKLE_REFUSED = "PickleRefused"
    SHAPE_MISMATCH = "ShapeMismatch"
    PARITY_FAILED = "ParityFailed"
    PYTHON_STEP_FAILED = "PythonStepFailed"
    INVALID_DATASET = "InvalidDataset"
    GATE_FAILED = "GateFailed"
    INVALID_PATH = "InvalidPath"
    NO_SPACE = "NoSpace"
    INTERNAL = "Internal"


_TRANSIENT = {FailureReason.SOURCE_UNAVAILABLE, FailureReason.NO_SPACE, FailureReason.INTERNAL}


class Summary(ApiModel):
    """What a build says at its end. All below `message` is None where it failed too early.

    The bounds are those of the status, which tells it on.
    """

    outcome: Outcome
    reason: FailureReason | None = None
    message: str
    key: _Digest | None = None
    source_sha256: _Digest | None = None
    engine: Text | None = None
    precision: Text | None = None
    size_bytes: Large | None = None
    interface: ModelInterface | None = None
    tau: list[TauPoint] = Field(default_factory=list)
    self_check: SelfCheck | None = None
    metric: Name | None = None
    baseline: Figure | None = None
    value: Figure | None = None
    speedup: Figure | None = None
    candidates: Annotated[list[CandidateStatus], Field(max_length=8)] = Field(default_factory=list)
    no_tensorrt: Sentence | None = None

    def exit_code(self) -> int:
        """The build's exit code: the Job tries again only what may turn out better."""
        if self.outcome != Outcome.FAILED:
            return EXIT_OK
        return EXIT_TRANSIENT if self.reason in _TRANSIENT else EXIT_TERMINAL

    def to_message(self) -> str:
        """JSON of at most MESSAGE_BYTES bytes.

        First sentences are cut, then golden values, then candidates, then points of tau and
        golden outputs. An artifact whose tensors alone do not fit is reported as failed: half an
        interface could not be served.
        """
        for candidate in self._ever_shorter():
            text = candidate.model_dump_json(by_alias=True, exclude_defaults=True)
            if len(text.encode()) <= MESSAGE_BYTES:
                return text
        # A digest and a bounded sentence: this always fits.
        return failed(
            FailureReason.INVALID_MODEL,
            "publish: the model has too many inputs and outputs, or too long names, to be served:"
            " their names and shapes must fit into 3 KB",
            source_sha256=self.source_sha256,
        ).model_dump_json(by_alias=True, exclude_none=True)

    def _ever_shorter(self) -> "Iterator[Summary]":
        yield self._with_sentences_of(_SENTENCE_CHARACTERS)
        shorter = self._with_sentences_of(200)
        yield shorter
        shorter = shorter.model_copy(
            update={
                "candidates": [_without_reason(each) for each in self.candidates],
                "no_tensorrt": None,
            }
        )
        yield shorter
        for length, candidates in ((16, None), (8, None), (8, 3), (8, 0), (2, 0), (1, 0)):
            shorter = shorter.model_copy(
                update={
                    "self_check": self.self_check and _shorten(self.self_check, length),
                    "candidates": shorter.candidates[:candidates],
                }
            )
            yield shorter
        plain = plainest(self.tau)
        few = [*plain[:1], *plain[1:][-1:]]
        check = self.self_check and _shorten(self.self_check, 1, outputs=1)
        yield shorter.model_copy(update={"tau": few, "self_check": check})

    def _with_sentences_of(self, characters: int) -> "Summary":
        if len(_escaped(self.message)) <= characters:
            return self
        kept = self.message
        while len(_escaped(kept)) > characters:
            kept = kept[: len(kept) * 3 // 4]
        return self.model_copy(update={"message": kept + "..."})


def failed(reason: FailureReason, message: str, source_sha256: str | None = None) -> Summary:
    """The summary of a build that made nothing."""
    return Summary(
        outcome=Outcome.FAILED, reason=reason, message=message, source_sha256=source_sha256
    )


def of_manifest(manifest: Manifest, outcome: Outcome, message: str, source_sha256: str) -> Summary:
    """The summary of a build that ended with this artifact."""
    return Summary(
        outcome=outcome,
        message=message,
        key=manifest.key,
        source_sha256=source_sha256,
        engine=manifest.engine,
        precision=manifest.precision,
        size_bytes=manifest.size_bytes(),
        interface=manifest.interface,
        tau=manifest.tau,
        self_check=manifest.self_check,
    )


def parse_summary(text: str) -> Summary | None:
    """The summary in a termination message; None where it holds none (a crash's last words)."""
    try:
        return Summary.model_validate_json(text)
    except ValidationError:
        return None


def _without_reason(candidate: CandidateStatus) -> CandidateStatus:
    return candidate.model_copy(update={"reason": None})


def _shorten(check: SelfCheck, length: int, outputs: int | None = None) -> SelfCheck:
    kept = [
        output.model_copy(update={"head": output.head[:length]})
        for output in check.outputs[:outputs]
    ]
    return check.model_copy(update={"outputs": kept})


def _escaped(text: str) -> bytes:
    """As pydantic writes it: control characters and quotes take more than one byte."""
    return json.dumps(text, ensure_ascii=False).encode()
