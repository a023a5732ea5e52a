"""Durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.traffic.durations import DurationError, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("60s", 60.0),
        ("1.5s", 1.5),
        ("11520m", 691_200.0),
        ("24h", 86_400.0),
        ("7d", 604_800.0),
        ("1h30m", 5400.0),
        ("1m500ms", 60.5),
        ("0", 0.0),
        ("0s", 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds == pytest.approx(parse_duration(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "5.0",
        "s",
        "-5s",
        "+5s",
        " 5s",
        "5 s",
        "5s\n",
        ".5s",
        "5.s",
        "5w",
        "5S",
        "infs",
        "1e3s",
    ],
)
def test_what_is_no_duration_is_refused_with_how_one_is_written(text: str) -> None:
    with pytest.raises(DurationError, match="is no duration: write 500ms, 60s"):
        parse_duration(text)


def test_one_that_no_number_holds_is_refused() -> None:
    with pytest.raises(DurationError, match="too long"):
        parse_duration("9" * 400 + "d")


@given(st.integers(0, 10**9), st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)]))
def test_any_number_of_a_unit(number: int, unit: tuple[str, float]) -> None:
    assert number * unit[1] == pytest.approx(parse_duration(f"{number}{unit[0]}"))
