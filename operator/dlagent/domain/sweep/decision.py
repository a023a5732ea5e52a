"""Whether a namespace's store is swept now, and what must be kept. Pure; see `decide_sweep`.

A record says that an artifact is in the store, and lets an agent be served without a build. So
records go first: once that of an unused artifact is gone, an agent that comes to want the artifact
must build, and the build makes what it finds young, or finds nothing and makes it anew. What still
has a record when the sweep starts is kept by it. Hence no record is ever without its artifact.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dlagent.domain.sweep.unused import SHORT_KEY, SweepReport


@dataclass(frozen=True)
class Recorded:
    """The record of an artifact, by the first characters of its key."""

    name: str
    uid: str
    key: str
    created: datetime


@dataclass(frozen=True)
class SweepJob:
    """The Job of a sweep; `failure` says why one that ended has no report."""

    name: str
    uid: str
    created: datetime
    ended: bool = False
    report: SweepReport | None = None
    failure: str | None = None


@dataclass(frozen=True)
class StoreSeen:
    """What the operator sees of a namespace with regard to its store.

    `named`: keys, or their first characters, that agents and Deployments name. `unclear` says what
    is there whose artifact cannot be told. `building`: a build may be about to name an artifact.
    """

    oldest_agent: datetime | None = None
    named: frozenset[str] = frozenset()
    unclear: str | None = None
    building: bool = False
    records: tuple[Recorded, ...] = ()
    job: SweepJob | None = None
    last_sweep: datetime | None = None


@dataclass(frozen=True)
class SweepRules:
    enabled: bool
    interval: timedelta
    grace: timedelta


@dataclass(frozen=True)
class SweepDecision:
    """`ended` is a Job whose outcome is to be written down, then deleted. `forget` are records to
    delete. `keep` names what a Job that is to start must keep; None: none starts."""

    why: str
    ended: SweepJob | None = None
    forget: tuple[Recorded, ...] = ()
    keep: tuple[str, ...] | None = None


def is_due(seen: StoreSeen, rules: SweepRules, now: datetime) -> bool:
    """There are agents, and the interval has passed since the last sweep, or their first came."""
    if seen.oldest_agent is None:
        return False
    return now - (seen.last_sweep or seen.oldest_agent) >= rules.interval


def decide_sweep(seen: StoreSeen, rules: SweepRules, now: datetime) -> SweepDecision:
    """What to do about a namespace's store. Nothing is removed on a view that is not complete."""
    if seen.job is not None:
        if seen.job.ended:
            return SweepDecision("the sweep has ended", ended=seen.job)
        return SweepDecision("a sweep runs")
    if not rules.enabled:
        return SweepDecision("sweeps are switched off")
    if seen.oldest_agent is None:
        # What lost its agents may have lost them by mistake, and the store outlives its agents.
        return SweepDecision("no agent is left, and the store stays")
    if not is_due(seen, rules, now):
        return SweepDecision("the interval has not passed")
    if seen.unclear is not None:
        return SweepDecision(f"not all is clear: {seen.unclear}")
    if seen.building:
        return SweepDecision("a build runs, which may find any artifact")
    forget = tuple(
        record
        for record in seen.records
        if now - record.created > rules.grace and not _is_named(record.key, seen.named)
    )
    if forget:
        return SweepDecision("records of unused artifacts go first", forget=forget)
    kept = seen.named | {record.key for record in seen.records}
    return SweepDecision("it is due", keep=tuple(sorted({key[:SHORT_KEY] for key in kept})))


def _is_named(key: str, named: frozenset[str]) -> bool:
    return any(name.startswith(key) or key.startswith(name) for name in named)
