"""Which artifacts of a store a sweep may remove, and the report of one that did.

Used by the sweep's program; the report travels to the operator as its termination message.
"""

from collections.abc import Iterable, Sequence

from pydantic import Field, ValidationError

from dlagent.api.types import ApiModel
from dlagent.domain.artifact.layout import StoredArtifact

SHORT_KEY = 16  # characters by which labels name a key
_TOLD = 100  # keys in a report: a termination message has 4 KB


class SweepReport(ApiModel):
    """What a sweep removed, or would have; `removed` has the beginnings of some of the keys."""

    dry_run: bool = False
    removed: list[str] = Field(default_factory=list)
    removed_count: int = 0
    freed_bytes: int = 0
    kept_count: int = 0
    staging_count: int = 0  # what dead builds left


def unused(
    stored: Iterable[StoredArtifact], keep: Iterable[str], now: float, grace_seconds: float
) -> list[StoredArtifact]:
    """What nobody names and no build has used for longer than the grace time.

    `keep` names keys by all of their characters or by the first of them.
    """
    named = tuple(keep)
    return [
        artifact
        for artifact in stored
        if now - artifact.used_at > grace_seconds and not artifact.key.startswith(named)
    ]


def report_of(
    removed: Sequence[StoredArtifact], kept_count: int, staging_count: int, dry_run: bool
) -> SweepReport:
    return SweepReport(
        dry_run=dry_run,
        removed=[artifact.key[:SHORT_KEY] for artifact in removed[:_TOLD]],
        removed_count=len(removed),
        freed_bytes=sum(artifact.size_bytes for artifact in removed),
        kept_count=kept_count,
        staging_count=staging_count,
    )


def parse_report(text: str) -> SweepReport | None:
    """The report in a termination message; None where it holds none."""
    try:
        return SweepReport.model_validate_json(text)
    except ValidationError:
        return None
