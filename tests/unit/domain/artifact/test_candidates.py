"""The few candidates of the status are the telling ones, and fit into the build's summary."""

from typing import Any

import pytest

from dlagent.api.status import CandidateStatus
from dlagent.domain.artifact.candidates import candidates_status, with_report
from dlagent.domain.artifact.comparison import lower_is_better
from dlagent.domain.artifact.report import CandidateReport, Report, Verdict
from dlagent.domain.artifact.summary import MESSAGE_BYTES, Outcome, Summary, parse_summary
from dlagent.domain.search.candidate import TENSORRT
from tests.unit.domain.artifact.test_summary import summary
from tests.unit.report import examples


def told_of(report: Report) -> list[CandidateStatus]:
    return candidates_status(report.candidates, lower_is_better(report))


def named(report: Report) -> list[str]:
    return [each.name for each in told_of(report)]


def test_of_each_verdict_one_is_told() -> None:
    """Of nine the student is left out: another one does not apply either."""
    assert [
        "int8",
        "prune-50-int8",
        "prune-70",
        "int8-s8s8",
        "fp32",
        "tensorrt",
        "prune-30",
        "int8-dynamic",
    ] == named(examples.report())


def test_the_slow_source_is_told_among_many_that_are_faster() -> None:
    told = named(examples.crowded(25))

    assert "int8" == told[0]
    assert "fp32" == told[-1]
    assert 8 == len(told)


@pytest.mark.parametrize(
    ("report", "name", "expected"),
    [
        pytest.param(
            examples.report(),
            "int8",
            CandidateStatus(
                name="int8",
                precision="INT8",
                verdict="Chosen",
                batch=8,
                milliseconds="0.84",
                value="0.9013",
                drop="0.0004",
                reason="the fastest that keeps the accuracy",
            ),
            id="the chosen one",
        ),
        pytest.param(
            examples.report(),
            "fp32",
            CandidateStatus(
                name="fp32",
                precision="FP32",
                verdict="Slower",
                batch=8,
                milliseconds="2.2",
                value="0.9017",
                reason="it is the source itself; int8-s8s8 is faster",
            ),
            id="the source loses nothing",
        ),
        pytest.param(
            examples.report(),
            "tensorrt",
            CandidateStatus(name="tensorrt", verdict="Failed", reason="no accelerator is there"),
            id="one without figures",
        ),
        pytest.param(
            examples.errors(),
            "int8-s8s8",
            CandidateStatus(
                name="int8-s8s8",
                precision="INT8",
                verdict="Slower",
                batch=8,
                milliseconds="1.5",
                value="0.034",
                drop="0.034",
                reason="int8 is faster",
            ),
            id="an error",
        ),
    ],
)
def test_what_is_told_of_one(report: Report, name: str, expected: CandidateStatus) -> None:
    assert [expected] == [each for each in told_of(report) if each.name == name]


def test_long_names_and_reasons_keep_to_the_bounds_of_the_status() -> None:
    made = examples.report()
    long = CandidateReport(name="n" * 500, verdict=Verdict.FAILED, reason="r" * 5000)

    told = told_of(made.model_copy(update={"candidates": [long]}))

    assert (63, 120) == (len(told[0].name), len(told[0].reason or ""))


def test_the_summary_tells_of_the_winner() -> None:
    told = with_report(summary(), examples.report())

    assert ("Accuracy", "0.9022", "0.9018", "2.62") == (
        told.metric,
        told.baseline,
        told.value,
        told.speedup,
    )


@pytest.mark.parametrize(
    ("target", "told"),
    [
        pytest.param({"accelerator": "gpu"}, "this builder cannot try it", id="on an accelerator"),
        pytest.param({"accelerator": "cpu"}, None, id="a CPU has none"),
        pytest.param(
            {
                "accelerator": "gpu",
                "simulated": {"baseMilliseconds": 40, "perItemMilliseconds": 20},
            },
            None,
            id="nor has a simulated one",
        ),
    ],
)
def test_the_summary_tells_why_no_engine_was_tried(
    target: dict[str, Any], told: str | None
) -> None:
    request = {"target": {"tritonVersion": "24.10", **target}}
    why = CandidateReport(
        name=TENSORRT, verdict=Verdict.NOT_APPLICABLE, reason="this builder cannot try it"
    )
    report = examples.plain().model_copy(update={"request": request, "candidates": [why]})

    assert told == with_report(summary(), report).no_tensorrt


def test_without_a_data_set_there_is_no_accuracy_to_tell() -> None:
    told = with_report(summary(), examples.plain())

    assert (None, None, None) == (told.metric, told.baseline, told.value)


def test_eight_candidates_and_a_usual_interface_fit() -> None:
    """All is kept but the golden values beyond the first sixteen and the reasons."""
    made = with_report(summary(tensors=2), examples.crowded(25))

    read = parse_summary(made.to_message())

    assert read is not None
    assert 8 == len(read.candidates)
    assert [each.milliseconds for each in made.candidates] == [
        each.milliseconds for each in read.candidates
    ]
    assert (made.interface, made.tau, made.value) == (read.interface, read.tau, read.value)


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        pytest.param(1, 8, id="one output"),
        pytest.param(7, 3, id="seven"),
        pytest.param(20, 0, id="so many that only they fit"),
    ],
)
def test_candidates_go_before_what_serving_needs(tensors: int, expected: int) -> None:
    made = with_report(summary(tensors=tensors), examples.crowded(25))

    text = made.to_message()

    read = parse_summary(text)
    assert read is not None
    assert len(text.encode()) <= MESSAGE_BYTES
    assert Outcome.PUBLISHED == read.outcome
    assert expected == len(read.candidates)
    assert made.candidates[:1][:expected] == [
        each.model_copy(update={"reason": made.candidates[0].reason})
        for each in read.candidates[:1]
    ]


def test_a_build_that_failed_tells_of_its_candidates_too() -> None:
    failed = Summary(outcome=Outcome.FAILED, message="gate: " + "none passes; " * 200)
    made = with_report(failed, examples.crowded(25))

    read = parse_summary(made.to_message())

    assert read is not None
    assert Outcome.FAILED == read.outcome
    assert 8 == len(read.candidates)
