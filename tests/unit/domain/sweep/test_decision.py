"""When a store is swept, and what no sweep may take."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dlagent.domain.sweep.decision import (
    Recorded,
    StoreSeen,
    SweepDecision,
    SweepJob,
    SweepRules,
    decide_sweep,
)
from dlagent.domain.sweep.unused import SweepReport

NOW = datetime(2026, 1, 31, tzinfo=UTC)
RULES = SweepRules(enabled=True, interval=timedelta(days=1), grace=timedelta(days=7))
LONG_AGO, YESTERDAY = NOW - timedelta(days=30), NOW - timedelta(days=1)
IN_USE, OTHER = "a" * 64, "b" * 64
JOB = SweepJob("dlagent-sweep", "uid-job", NOW)
ENDED = replace(JOB, ended=True, report=SweepReport())


def record(key: str, created: datetime = LONG_AGO) -> Recorded:
    return Recorded(f"dlagent-artifact-{key[:16]}", f"uid-{key[:2]}", key[:16], created)


SEEN = StoreSeen(oldest_agent=LONG_AGO, named=frozenset({IN_USE}), records=(record(IN_USE),))
STARTS = SweepDecision("it is due", keep=(IN_USE[:16],))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(SEEN, STARTS, id="the first one an interval after the first agent"),
        pytest.param(
            replace(SEEN, oldest_agent=NOW - timedelta(hours=23)),
            SweepDecision("the interval has not passed"),
            id="not before",
        ),
        pytest.param(
            replace(SEEN, last_sweep=YESTERDAY), STARTS, id="again an interval after the last"
        ),
        pytest.param(
            replace(SEEN, last_sweep=YESTERDAY + timedelta(seconds=1)),
            SweepDecision("the interval has not passed"),
            id="and not sooner",
        ),
        pytest.param(
            replace(SEEN, job=JOB), SweepDecision("a sweep runs"), id="one at a time, which is left"
        ),
        pytest.param(
            replace(SEEN, job=ENDED),
            SweepDecision("the sweep has ended", ended=ENDED),
            id="one that ended is written down",
        ),
        pytest.param(
            replace(SEEN, oldest_agent=None, named=frozenset(), records=()),
            SweepDecision("no agent is left, and the store stays"),
            id="never where no agent is left",
        ),
        pytest.param(
            replace(SEEN, oldest_agent=None, job=ENDED),
            SweepDecision("the sweep has ended", ended=ENDED),
            id="but one that ended there is still written down",
        ),
        pytest.param(
            replace(SEEN, unclear="Deployment x does not say"),
            SweepDecision("not all is clear: Deployment x does not say"),
            id="never where something may name what is not known",
        ),
        pytest.param(
            replace(SEEN, building=True),
            SweepDecision("a build runs, which may find any artifact"),
            id="never beside a build",
        ),
        pytest.param(
            replace(SEEN, records=(record(IN_USE), record(OTHER))),
            SweepDecision("records of unused artifacts go first", forget=(record(OTHER),)),
            id="first the record of what is unused goes",
        ),
        pytest.param(
            replace(SEEN, records=(record(IN_USE), record(OTHER, NOW - timedelta(days=6)))),
            SweepDecision("it is due", keep=(IN_USE[:16], OTHER[:16])),
            id="what has a young record is kept, and its record",
        ),
        pytest.param(
            replace(SEEN, named=frozenset({IN_USE[:16]})),
            STARTS,
            id="a Deployment names it by its first characters",
        ),
        pytest.param(
            replace(SEEN, named=frozenset({IN_USE, OTHER})),
            SweepDecision("it is due", keep=(IN_USE[:16], OTHER[:16])),
            id="what is named and has no record is kept",
        ),
    ],
)
def test_decisions(seen: StoreSeen, expected: SweepDecision) -> None:
    assert expected == decide_sweep(seen, RULES, NOW)


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        pytest.param(None, SweepDecision("sweeps are switched off"), id="none starts"),
        pytest.param(
            ENDED, SweepDecision("the sweep has ended", ended=ENDED), id="one is still put away"
        ),
    ],
)
def test_switched_off(job: SweepJob | None, expected: SweepDecision) -> None:
    assert expected == decide_sweep(replace(SEEN, job=job), replace(RULES, enabled=False), NOW)
