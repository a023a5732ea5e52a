"""Removes from a store what nobody needs. Called by the sweep's Job and by `dlagent artifacts`."""

from collections.abc import Sequence

from dlagent.adapters.store import ArtifactStore
from dlagent.domain.artifact.layout import STALE_STAGING_SECONDS
from dlagent.domain.sweep.unused import SweepReport, report_of, unused


def sweep(
    store: ArtifactStore,
    keep: Sequence[str],
    now: float,
    grace_seconds: float,
    dry_run: bool = False,
) -> SweepReport:
    """Remove what is unused, and what dead builds left; `now` in seconds since the epoch.

    Raises:
        OSError: the store failed; what was removed until then is gone.
    """
    stored = store.artifacts()
    candidates = unused(stored, keep, now, grace_seconds)
    removed = [
        artifact
        for artifact in candidates
        if dry_run or store.remove(artifact.key, now, grace_seconds)
    ]
    staging = store.sweep_staging(now, STALE_STAGING_SECONDS, dry_run)
    return report_of(removed, len(stored) - len(removed), staging, dry_run)
