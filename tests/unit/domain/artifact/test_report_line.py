"""A report travels through a log, whatever else is in it."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.artifact.report_line import MOST_BYTES, report_in, report_line
from tests.unit.report import examples


@given(st.binary(max_size=2000))
def test_what_goes_in_comes_out(report: bytes) -> None:
    line = report_line(report)

    assert line is not None
    assert "\n" not in line
    assert report == report_in(f"one line\n{line}\nloaded artifact\n")


def test_the_last_one_counts() -> None:
    assert b"new" == report_in(f"{report_line(b'old')}\n{report_line(b'new')}\n")


def test_a_report_of_25_candidates_takes_a_few_kilobytes() -> None:
    line = report_line(examples.crowded(25).to_json().encode())

    assert line is not None
    assert len(line) < 5000


def packed(data: bytes) -> str:
    return "dlagent-report " + base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "log",
    [
        pytest.param("", id="an empty log"),
        pytest.param("loaded artifact\n", id="a loader that printed none"),
        pytest.param("dlagent-report ***", id="not base64"),
        pytest.param(packed(b"not compressed"), id="not compressed"),
        pytest.param(packed(zlib.compress(b"x" * 100)[:-5]), id="cut off"),
        pytest.param(packed(zlib.compress(b"x" * (MOST_BYTES + 1))), id="larger than it may be"),
    ],
)
def test_other_logs_hold_none(log: str) -> None:
    assert report_in(log) is None


def test_one_that_is_too_large_stays_out_of_the_log() -> None:
    assert report_line(b"x" * (MOST_BYTES + 1)) is None
