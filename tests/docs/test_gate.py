"""The figures on the gate's page are those of the code."""

import re
from pathlib import Path

import pytest

from dlagent.api.types import Metric as MetricKind
from dlagent.domain.data.split import JUDGING, SHARES, Part
from dlagent.domain.gate.decision import LEVEL, Verdict
from dlagent.domain.gate.paired import PairedCounts

PAGE = (Path(__file__).parents[2] / "docs/explanation/gate.md").read_text()
LIMITS = (0.005, 0.01, 0.02)
EXAMPLES = 20_000  # large enough for the rates that are shown


def rows(pattern: str) -> list[tuple[str, ...]]:
    return re.findall(rf"^\| {pattern} \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("row", rows(r"([\d.]+) % \| ([\d,]+) \| ([\d,]+) \| ([\d,]+)"))
def test_examples_needed(row: tuple[str, ...]) -> None:
    differ = round(float(row[0]) / 100 * EXAMPLES)
    half = PairedCounts(EXAMPLES, EXAMPLES, differ // 2, differ // 2)
    for shown, limit in zip(row[1:], LIMITS, strict=True):
        needed = half.more_needed(limit, LEVEL)
        assert needed is not None
        digits = 10 ** (len(str(needed)) - 2)
        assert -(-needed // digits) * digits == int(shown.replace(",", ""))


def test_five_rates_are_shown() -> None:
    assert 5 == len(rows(r"([\d.]+) % \| ([\d,]+) \| ([\d,]+) \| ([\d,]+)"))


def test_shares() -> None:
    shown = {name: int(share) / 100 for name, share in rows(r"(\w+) \| (\d+) %")}
    assert {str(part): SHARES[part] for part in Part} == shown
    judging = sum(SHARES[part] for part in JUDGING)
    assert f"gate ({SHARES[Part.GATE] / judging:.0%})".replace("%", " %") in PAGE


def test_metrics_and_outcomes_are_all_named() -> None:
    named = set(re.findall(r"^\| (\w+) \|", PAGE, re.MULTILINE))
    assert {str(kind) for kind in MetricKind} | {str(verdict) for verdict in Verdict} <= named


def test_the_worked_example() -> None:
    bound = PairedCounts(1000, 900, 12, 8).upper_bound(LEVEL)
    assert f"here {100 * bound:.2f} points" in PAGE
