"""What a sweep may take of a store, and how it tells of it."""

import pytest

from dlagent.domain.artifact.layout import StoredArtifact
from dlagent.domain.artifact.summary import MESSAGE_BYTES
from dlagent.domain.sweep.unused import SweepReport, parse_report, report_of, unused

NOW, GRACE = 1_000_000.0, 100.0
OLD = StoredArtifact("a" * 64, NOW - 101, 10)
YOUNG = StoredArtifact("b" * 64, NOW - 100, 20)


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        pytest.param([], [OLD], id="what is young is kept"),
        pytest.param([OLD.key], [], id="what is named is kept"),
        pytest.param([OLD.key[:16]], [], id="also by its first characters"),
        pytest.param(["c" * 16], [OLD], id="a name that is not there keeps nothing"),
    ],
)
def test_unused(keep: list[str], expected: list[StoredArtifact]) -> None:
    assert expected == unused([OLD, YOUNG], keep, NOW, GRACE)


def test_a_report_comes_back_from_its_message() -> None:
    report = report_of([OLD], kept_count=3, staging_count=2, dry_run=False)

    assert SweepReport(removed=["a" * 16], removed_count=1, freed_bytes=10, kept_count=3,
                       staging_count=2) == report  # fmt: skip
    assert report == parse_report(report.model_dump_json(by_alias=True))


def test_a_report_of_thousands_fits_into_a_termination_message() -> None:
    many = [StoredArtifact(f"{number:064x}", 0, 1) for number in range(5000)]

    report = report_of(many, 0, 0, dry_run=True)

    assert (5000, 5000) == (report.removed_count, report.freed_bytes)
    assert MESSAGE_BYTES >= len(report.model_dump_json(by_alias=True))


@pytest.mark.parametrize("text", ["", "Killed", "[]"])
def test_last_words_that_are_no_report(text: str) -> None:
    assert parse_report(text) is None
