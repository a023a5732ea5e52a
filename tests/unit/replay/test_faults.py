"""What `--fault` may say, and when something is wrong."""

import pytest

from dlagent.replay.faults import Fault, FaultError, FaultKind, fault_at, parse_faults

GAP = Fault(FaultKind.GAP, 21_600.0, 22_200.0)
NAN = Fault(FaultKind.NAN, 22_000.0, 23_000.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", ()),
        ("metrics-gap@6h+600s", (GAP,)),
        ("metrics-gap@360m+10m,metrics-nan@22000s+1000s", (GAP, NAN)),
        ("metrics-nan@0+1m30s", (Fault(FaultKind.NAN, 0.0, 90.0),)),
    ],
)
def test_faults(text: str, expected: tuple[Fault, ...]) -> None:
    assert expected == parse_faults(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gap@6h+600s",
        "metrics-gap",
        "metrics-gap@6h",
        "metrics-gap@+600s",
        "metrics-gap@6h+",
        "metrics-gap@6h+0",
        "metrics-gap@6+600",
        "metrics-gap@-6h+600s",
        "none,metrics-gap@6h+600s",
        "metrics-gap@6h+600s,",
    ],
)
def test_what_is_no_fault_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(FaultError, match=r"is no fault: give none, metrics-gap@6h\+600s .* or"):
        parse_faults(text)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(21_599.9, None, id="before"),
        pytest.param(21_600.0, FaultKind.GAP, id="from its first moment"),
        pytest.param(22_100.0, FaultKind.GAP, id="what is not scraped can not be NaN"),
        pytest.param(22_200.0, FaultKind.NAN, id="until before its end"),
        pytest.param(23_000.0, None, id="afterwards"),
    ],
)
def test_what_is_wrong_at_a_time(now: float, expected: FaultKind | None) -> None:
    assert expected == fault_at((GAP, NAN), now)
