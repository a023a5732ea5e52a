"""A report is read as it was written, and what is none is refused with the cause."""

import json

import pytest

from dlagent.domain.artifact.report import ReportError, parse_report
from tests.unit.report import examples


def test_what_was_written_is_read() -> None:
    made = examples.report()

    assert made == parse_report(made.to_json())


def changed(**fields: object) -> str:
    return json.dumps(json.loads(examples.report().to_json()) | fields)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "not JSON", id="nothing"),
        pytest.param("[]", "no formatVersion", id="another JSON value"),
        pytest.param('{"formatVersion": "2"}', "no formatVersion", id="a version that is none"),
        pytest.param('{"formatVersion": 1}', "older DLAgent .* build it again", id="older"),
        pytest.param(changed(formatVersion=3), "newer DLAgent", id="newer"),
        pytest.param(changed(candidates=[{}]), "damaged: candidates.0.name", id="a field missing"),
    ],
)
def test_what_is_no_report_is_refused(text: str, why: str) -> None:
    with pytest.raises(ReportError, match=why):
        parse_report(text)


def test_a_field_of_a_newer_writer_is_passed_over() -> None:
    assert examples.report() == parse_report(changed(surprise=1))
