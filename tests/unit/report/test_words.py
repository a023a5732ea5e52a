"""Figures as people read them."""

import pytest

from dlagent.domain.artifact.interface import TauPoint
from dlagent.domain.artifact.report import CandidateReport, GateResult, Report, Verdict
from dlagent.report import words
from tests.unit.report import examples


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(words.milliseconds(0.0843), "0.0843 ms", id="less than a millisecond"),
        pytest.param(words.milliseconds(2163.4), "2163 ms", id="seconds stay milliseconds"),
        pytest.param(words.milliseconds(99.97), "100 ms", id="rounded up to three digits"),
        pytest.param(words.milliseconds(None), "-", id="no time"),
        pytest.param(words.seconds(0.42), "0.42 s", id="less than a second"),
        pytest.param(words.seconds(75), "75 s", id="seconds"),
        pytest.param(words.seconds(725), "12 min 5 s", id="minutes"),
        pytest.param(words.size(999), "999 bytes", id="bytes"),
        pytest.param(words.size(2_670_000), "2.67 MB", id="megabytes"),
        pytest.param(words.size(999_900), "1 MB", id="rounded up to the next unit"),
        pytest.param(words.size(5_300_000_000), "5.3 GB", id="gigabytes"),
        pytest.param(words.times(2.6190), "2.62x", id="a factor"),
        pytest.param(words.times(1040.2), "1040x", id="a large factor"),
        pytest.param(words.plain("a\x1b[31m\tb\n c"), "a [31m b c", id="no orders to a terminal"),
        pytest.param(words.plain("abcdef", 4), "abc…", id="cut"),
        pytest.param(words.metric(examples.report(), 0.9017), "90.17 %", id="a share"),
        pytest.param(words.metric(examples.errors(), 0.0213), "0.0213", id="an error"),
        pytest.param(words.drop(examples.report(), -0.00001), "0.00 points", id="nothing is lost"),
        pytest.param(words.drop(examples.report(), -0.0012), "-0.12 points", id="gained"),
    ],
)
def test_figures(made: str, expected: str) -> None:
    assert expected == made


def with_gate(result: GateResult, limit: float = 0.01) -> Report:
    made = examples.report()
    assert made.gate is not None
    changed = [
        each.model_copy(update={"gate": result}) if each.name == "int8" else each
        for each in made.candidates
    ]
    gate = made.gate.model_copy(update={"limit": limit})
    return made.model_copy(update={"candidates": changed, "gate": gate})


def without_speed() -> Report:
    made = examples.report()
    only = CandidateReport(name="int8", verdict=Verdict.CHOSEN, reason="it is")
    return made.model_copy(update={"candidates": [only]})


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(
            with_gate(examples.gate(0.9, 0.896, 0.008), limit=0.02),
            "int8 is 2.62x as fast as the source (0.84 ms against 2.2 ms for a batch of 8) and"
            " loses 0.40 points of Accuracy: a loss below 0.80 points with 95 % confidence, where"
            " 2 points are allowed.",
            id="it loses a little",
        ),
        pytest.param(
            with_gate(examples.gate(0.9, 0.9012, 0.002)),
            "int8 is 2.62x as fast as the source (0.84 ms against 2.2 ms for a batch of 8) and"
            " gains 0.12 points of Accuracy: a loss below 0.20 points with 95 % confidence, where"
            " 1 point is allowed.",
            id="it gains",
        ),
        pytest.param(
            examples.errors(),
            "int8 is 2.62x as fast as the source (0.84 ms against 2.2 ms for a batch of 8) and has"
            " an error of at most 0.021, where 0.05 is allowed.",
            id="an error",
        ),
        pytest.param(
            examples.plain(),
            "The source itself, fp32, was chosen: nothing else applies.",
            id="the source itself",
        ),
        pytest.param(without_speed(), "int8 was chosen.", id="nothing to compare with"),
    ],
)
def test_the_sentence_about_the_choice(made: Report, expected: str) -> None:
    assert expected == words.headline(made)


def of_tau(*points: TauPoint, batched: bool = True) -> Report:
    return examples.report().model_copy(update={"tau": list(points), "batched": batched})


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(
            examples.report(),
            "--tau 0.05ms,0.1ms --max-batch 32",
            id="the line through all batches",
        ),
        pytest.param(
            of_tau(
                TauPoint(batch=1, milliseconds=30),
                TauPoint(batch=2, milliseconds=50),
                TauPoint(batch=2, milliseconds=35, threads=2),
            ),
            "--tau 10ms,20ms --max-batch 2",
            id="more threads are another replica",
        ),
        pytest.param(
            of_tau(TauPoint(batch=1, milliseconds=12_345.6), batched=False),
            "--tau 12300ms,0ms --max-batch 1",
            id="one example a request, and a long one",
        ),
        pytest.param(
            of_tau(
                TauPoint(batch=1, milliseconds=0.00003), TauPoint(batch=2, milliseconds=0.00005)
            ),
            "--tau 0.00001ms,0.00002ms --max-batch 2",
            id="a short one has no exponent",
        ),
        pytest.param(of_tau(), "", id="nothing was measured"),
    ],
)
def test_the_times_as_a_replay_takes_them(made: Report, expected: str) -> None:
    assert expected == words.replay_options(made)
