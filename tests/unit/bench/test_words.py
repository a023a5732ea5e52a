"""Times and shares as people read them."""

import pytest

from dlagent.bench import words


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(None, "-", id="none"),
        pytest.param(0.0034, "3.4 ms", id="two digits"),
        pytest.param(0.034, "34 ms", id="whole milliseconds"),
        pytest.param(0.0996, "100 ms", id="no exponent at the edge"),
        pytest.param(0.34, "340 ms", id="hundreds"),
        pytest.param(3.456, "3.46 s", id="seconds"),
        pytest.param(123.4, "123 s", id="minutes stay seconds"),
    ],
)
def test_milliseconds(seconds: float | None, expected: str) -> None:
    assert expected == words.milliseconds(seconds)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(0, "0:00", id="zero"),
        pytest.param(59.6, "1:00", id="rounded"),
        pytest.param(185, "3:05", id="minutes"),
        pytest.param(3785, "1:03:05", id="hours"),
    ],
)
def test_clock(seconds: float, expected: str) -> None:
    assert expected == words.clock(seconds)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        pytest.param(None, "-", id="none"),
        pytest.param(1.0, "100 %", id="all"),
        pytest.param(0.999999, "99.99 %", id="one miss in a million is not all"),
        pytest.param(0.57, "57.00 %", id="no digit is lost to binary fractions"),
        pytest.param(0.0, "0.00 %", id="nothing"),
    ],
)
def test_percentage(share: float | None, expected: str) -> None:
    assert expected == words.percentage(share)


def test_failures() -> None:
    assert "none failed" == words.failures({})
    assert "1,002 failed (1,000 HTTP 503, 2 timeout)" == words.failures(
        {"HTTP 503": 1000, "timeout": 2}
    )
