"""A summary always fits into a termination message and says nothing false when shortened."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlagent.api.types import DataType, Tensor
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.selfcheck import ExpectedOutput, SelfCheck
from dlagent.domain.artifact.summary import (
    MESSAGE_BYTES,
    FailureReason,
    Outcome,
    Summary,
    failed,
    parse_summary,
)


def summary(message: str = "done", tensors: int = 1, name: str = "output") -> Summary:
    names = [f"{name}-{index}" for index in range(tensors)]
    shapes = [Tensor(name=each, data_type=DataType.FP32, shape=[1000]) for each in names]
    return Summary(
        outcome=Outcome.PUBLISHED,
        message=message,
        key="k" * 64,
        source_sha256="d" * 64,
        engine="ONNXRuntime",
        precision="FP32",
        size_bytes=12345,
        interface=ModelInterface(inputs=shapes[:1], outputs=shapes, batched=True),
        tau=[
            TauPoint(batch=2**n, milliseconds=1.2345 * (n + 1), instances=instances)
            for instances in (2, 1)
            for n in range(6)
        ],
        self_check=SelfCheck(
            seed="0",
            inputs=shapes[:1],
            outputs=[
                ExpectedOutput(
                    name=each,
                    data_type=DataType.FP32,
                    shape=[1, 1000],
                    head=[0.123456789 * n for n in range(32)],
                )
                for each in names
            ],
            relative_tolerance=0.001,
            absolute_tolerance=0.001,
        ),
    )


@settings(deadline=None)  # the machine may be busy
@given(
    message=st.text(max_size=6000),
    tensors=st.integers(1, 120),
    name=st.text(min_size=1, max_size=200),
)
def test_the_message_always_fits(message: str, tensors: int, name: str) -> None:
    made = summary(message, tensors, name)

    text = made.to_message()

    assert len(text.encode()) <= MESSAGE_BYTES
    read = parse_summary(text)
    assert read is not None
    if read.outcome == Outcome.PUBLISHED:
        assert made.interface == read.interface
        assert read.self_check is not None
        assert read.self_check.outputs
        assert made.self_check is not None
        assert made.self_check.inputs == read.self_check.inputs
    else:
        assert FailureReason.INVALID_MODEL == read.reason


def test_what_fits_is_kept_whole() -> None:
    made = summary()

    assert made == parse_summary(made.to_message())


def test_golden_values_go_before_the_interface_does() -> None:
    read = parse_summary(summary(tensors=10).to_message())

    assert read is not None
    assert Outcome.PUBLISHED == read.outcome
    assert read.self_check is not None
    assert 10 == len(read.self_check.outputs)


def test_of_long_labels_fewer_are_kept_and_none_is_cut() -> None:
    made = summary()
    assert made.self_check is not None
    label = "鞋" * 128  # the longest that the resource takes, in three bytes a letter
    labels = ExpectedOutput(
        name="labels", data_type=DataType.BYTES, shape=[1, 32], head=[label] * 32
    )
    check = made.self_check.model_copy(update={"outputs": [*made.self_check.outputs, labels]})

    text = made.model_copy(update={"self_check": check}).to_message()

    read = parse_summary(text)
    assert len(text.encode()) <= MESSAGE_BYTES
    assert read is not None
    assert read.self_check is not None
    assert {label} == set(read.self_check.outputs[1].head)


def test_of_the_table_the_ends_of_one_instance_are_kept_longest() -> None:
    read = parse_summary(summary(tensors=40).to_message())

    assert read is not None
    assert [(1, 1), (1, 32)] == [(point.instances, point.batch) for point in read.tau]


def test_a_model_whose_tensors_cannot_be_told_is_a_failure() -> None:
    read = parse_summary(summary(tensors=200).to_message())

    assert read is not None
    assert (Outcome.FAILED, FailureReason.INVALID_MODEL) == (read.outcome, read.reason)
    assert "too many inputs and outputs" in read.message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("Killed", id="words of a crash"),
        pytest.param('{"outcome": "Published"', id="cut"),
        pytest.param('{"outcome": "Marvellous", "message": ""}', id="an outcome unknown"),
        pytest.param("[]", id="another JSON value"),
    ],
)
def test_other_messages_are_no_summary(text: str) -> None:
    assert parse_summary(text) is None


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"key": "k" * 65}, id="a key that is longer than a digest"),
        pytest.param({"sourceSha256": "d" * 65}, id="a digest that is longer than one"),
        pytest.param({"engine": "e" * 1025}, id="an engine that no status has room for"),
        pytest.param({"precision": "p" * 1025}, id="a precision that no status has room for"),
        pytest.param({"sizeBytes": -1}, id="a size below zero"),
        pytest.param({"metric": "m" * 64}, id="a metric that no status has room for"),
        pytest.param({"value": "0" * 33}, id="a figure that no status has room for"),
        pytest.param(
            {"candidates": [{"name": "fp32", "verdict": "Chosen"}] * 9},
            id="more candidates than a status has room for",
        ),
    ],
)
def test_what_no_status_could_tell_is_no_summary(fields: dict[str, object]) -> None:
    told = json.loads(summary().to_message())
    assert parse_summary(json.dumps(told)) is not None
    assert parse_summary(json.dumps(told | fields)) is None


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        pytest.param(FailureReason.SOURCE_UNAVAILABLE, 4, id="the source may come"),
        pytest.param(FailureReason.NO_SPACE, 4, id="space may come"),
        pytest.param(FailureReason.INTERNAL, 4, id="a fault of ours may pass"),
        pytest.param(FailureReason.DIGEST_MISMATCH, 3, id="other bytes stay other bytes"),
        pytest.param(FailureReason.INVALID_MODEL, 3, id="a bad model stays bad"),
        pytest.param(FailureReason.PICKLE_REFUSED, 3, id="a pickle stays a pickle"),
    ],
)
def test_the_exit_code_says_whether_trying_again_can_help(
    reason: FailureReason, expected: int
) -> None:
    assert expected == failed(reason, "why").exit_code()


def test_success_exits_with_zero() -> None:
    assert 0 == summary().exit_code()
    assert "Published" == json.loads(summary().to_message())["outcome"]
