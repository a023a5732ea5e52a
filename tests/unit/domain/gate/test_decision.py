"""Each way in which the gate can decide."""

import numpy as np
import pytest

from dlagent.api.types import Metric as MetricKind
from dlagent.domain.gate.bootstrap import PairedClasses, paired_classes
from dlagent.domain.gate.decision import (
    Finalist,
    FinalistResult,
    GateDecision,
    Verdict,
    decide_gate,
)
from dlagent.domain.gate.evidence import Evidence, LargestError, NotFinite
from dlagent.domain.gate.limit import Limit
from dlagent.domain.gate.metrics import Metric
from dlagent.domain.gate.paired import PairedCounts

ACCURACY = Metric(MetricKind.ACCURACY)
ERROR = Metric(MetricKind.MAX_ABS_ERROR)
ONE_POINT = Limit(ACCURACY, 0.01)
SMALL_ERROR = Limit(ERROR, 0.5)


def same_answers(examples: int) -> PairedClasses:
    labels = np.arange(examples) % 2
    return paired_classes(MetricKind.F1, labels, labels, labels)


def decide_one(limit: Limit, evidence: Evidence) -> FinalistResult:
    (result,) = decide_gate([limit], [Finalist("int8", (evidence,))]).finalists
    return result


CASES = [
    pytest.param(
        ONE_POINT,
        PairedCounts(6000, 5400, 20, 18),
        Verdict.PASSED,
        "Accuracy 90 % before and 89.97 % after, 0.0333 points lost, with 95 % confidence at most"
        " 0.2228 lost (limit 1)",
        id="surely within the limit",
    ),
    pytest.param(
        ONE_POINT,
        PairedCounts(299, 270, 0, 0),
        Verdict.PASSED,
        "90.3 % before and 90.3 % after, 0 points lost",
        id="one that never differs, on just enough examples",
    ),
    pytest.param(
        ONE_POINT,
        PairedCounts(150, 100, 0, 40),
        Verdict.PASSED,
        "26.7 points won, with 95 % confidence at most -",
        id="one that is better, on fewer examples than one that never differs needs",
    ),
    pytest.param(
        ONE_POINT,
        PairedCounts(6000, 5400, 200, 100),
        Verdict.DROP_TOO_LARGE,
        "1.67 points lost (limit 1)",
        id="more was lost than is allowed",
    ),
    pytest.param(
        ONE_POINT,
        PairedCounts(298, 270, 0, 0),
        Verdict.TOO_FEW_EXAMPLES,
        "298 examples are too few to tell, about 300 are needed",
        id="one that never differs, on one example too few",
    ),
    pytest.param(
        ONE_POINT,
        PairedCounts(50, 45, 2, 0),
        Verdict.TOO_FEW_EXAMPLES,
        "4 points lost, with 95 % confidence at most 12.07 lost (limit 1): 50 examples are too"
        " few to tell, about 300 are needed, 6 times as many",
        id="so few that no candidate could pass, whatever is seen",
    ),
    pytest.param(
        ONE_POINT,
        PairedCounts(1000, 900, 12, 8),
        Verdict.TOO_FEW_EXAMPLES,
        "1,000 examples are too few to tell, about 2,200 are needed, 2.1 times as many",
        id="within the limit but not surely, at the rate of examples that differ",
    ),
    pytest.param(
        ONE_POINT,
        PairedCounts(1000, 900, 15, 5),
        Verdict.TOO_FEW_EXAMPLES,
        "no number tells so small a difference from the limit",
        id="exactly at the limit",
    ),
    pytest.param(
        Limit(ACCURACY, 1.1 / 100),  # the next number above 0.011
        PairedCounts(1000, 900, 15, 4),
        Verdict.TOO_FEW_EXAMPLES,
        "no number tells so small a difference from the limit",
        id="at the limit but for the last digit, below",
    ),
    pytest.param(
        Limit(ACCURACY, 0.01 - 1e-17),  # the number below 0.01
        PairedCounts(1000, 900, 15, 5),
        Verdict.TOO_FEW_EXAMPLES,
        "no number tells so small a difference from the limit",
        id="at the limit but for the last digit, above",
    ),
    pytest.param(
        Limit(Metric(MetricKind.RECALL), 0.01),
        paired_classes(
            MetricKind.RECALL,
            np.arange(600) % 2,
            np.arange(600) % 2,
            np.where(np.arange(600) < 6, 1 - np.arange(600) % 2, np.arange(600) % 2),
        ),
        Verdict.TOO_FEW_EXAMPLES,
        "no number tells so small a difference from the limit",
        id="recall exactly at the limit",
    ),
    pytest.param(
        Limit(ACCURACY, 0.0),
        PairedCounts(1000, 900, 0, 0),
        Verdict.TOO_FEW_EXAMPLES,
        "no number tells so small a difference from the limit",
        id="nothing may be lost, and a candidate that never differs cannot show it",
    ),
    pytest.param(
        Limit(ACCURACY, 0.0),
        PairedCounts(1000, 900, 0, 10),
        Verdict.PASSED,
        "1 points won",
        id="nothing may be lost, and a better candidate shows it",
    ),
    pytest.param(
        Limit(Metric(MetricKind.F1), 0.01),
        same_answers(400),
        Verdict.PASSED,
        "F1 100 % before and 100 % after, 0 points lost, with 95 % confidence at most 0.7461 lost",
        id="F1, on enough examples of each class",
    ),
    pytest.param(
        Limit(Metric(MetricKind.F1), 0.01),
        same_answers(100),
        Verdict.TOO_FEW_EXAMPLES,
        "100 examples are too few to tell, about 300 are needed",
        id="F1, on too few",
    ),
    pytest.param(
        SMALL_ERROR,
        LargestError(10, 0.25),
        Verdict.PASSED,
        "MaxAbsError 0.25 (limit 0.5)",
        id="a largest error within the limit, on however few examples",
    ),
    pytest.param(
        SMALL_ERROR,
        LargestError(10, 0.75),
        Verdict.DROP_TOO_LARGE,
        "MaxAbsError 0.75 (limit 0.5)",
        id="a largest error above the limit",
    ),
    pytest.param(
        ONE_POINT,
        NotFinite(1000, 3),
        Verdict.NOT_FINITE,
        "NaN or infinity for 3 of 1,000 examples",
        id="outputs that are no numbers",
    ),
]


@pytest.mark.parametrize(("limit", "evidence", "verdict", "words"), CASES)
def test_one_finalist(limit: Limit, evidence: Evidence, verdict: Verdict, words: str) -> None:
    result = decide_one(limit, evidence)
    assert verdict == result.verdict
    assert (verdict is Verdict.PASSED) == result.passed
    assert words in result.reason


@pytest.mark.parametrize(("limit", "evidence", "verdict", "words"), CASES)
def test_the_bound_is_within_the_limit_where_it_passes(
    limit: Limit, evidence: Evidence, verdict: Verdict, words: str
) -> None:
    (judged,) = decide_one(limit, evidence).limits
    if judged.figures is None:
        assert verdict is Verdict.NOT_FINITE
    else:
        assert (judged.figures.upper_bound <= limit.at_most) == (verdict is Verdict.PASSED)
        assert judged.figures.drop <= judged.figures.upper_bound


def test_several_at_once_are_held_against_less() -> None:
    """p is 0.0498 for the first: alone it passes, beside one that fails it does not."""
    just = PairedCounts(299, 270, 0, 0)
    assert decide_one(ONE_POINT, just).passed
    decision = decide_gate(
        [ONE_POINT],
        [
            Finalist("just", (just,)),
            Finalist("bad", (PairedCounts(299, 270, 30, 0),)),
            Finalist("good", (PairedCounts(1000, 900, 0, 0),)),
        ],
    )
    assert ["good"] == [finalist.name for finalist in decision.passed]
    verdicts = [(f.verdict, f.limits[0].level) for f in decision.finalists]
    assert [
        (Verdict.TOO_FEW_EXAMPLES, 0.025),
        (Verdict.TOO_FEW_EXAMPLES, 0.025),
        (Verdict.PASSED, 0.05 / 3),
    ] == verdicts
    assert "about 370 are needed" in decision.finalists[0].reason
    assert "97.5 % confidence" in decision.finalists[0].reason


@pytest.mark.parametrize(
    ("evidence", "verdict", "words"),
    [
        pytest.param(
            (PairedCounts(1000, 900, 0, 0), LargestError(1000, 0.1)),
            Verdict.PASSED,
            "MaxAbsError 0.1",
            id="within both",
        ),
        pytest.param(
            (PairedCounts(1000, 900, 0, 0), LargestError(1000, 0.9)),
            Verdict.DROP_TOO_LARGE,
            "MaxAbsError 0.9",
            id="within the first alone",
        ),
        pytest.param(
            (PairedCounts(100, 90, 0, 0), LargestError(100, 0.9)),
            Verdict.DROP_TOO_LARGE,
            "MaxAbsError 0.9",
            id="too few for one, too large for the other: more examples would not help",
        ),
        pytest.param(
            (PairedCounts(100, 90, 0, 0), LargestError(100, 0.1)),
            Verdict.TOO_FEW_EXAMPLES,
            "100 examples are too few",
            id="too few for one",
        ),
    ],
)
def test_a_finalist_must_be_within_each_limit(
    evidence: tuple[Evidence, ...], verdict: Verdict, words: str
) -> None:
    finalist = Finalist("int8", evidence)
    (result,) = decide_gate([ONE_POINT, SMALL_ERROR], [finalist]).finalists
    assert verdict == result.verdict
    assert words in result.reason


def test_nobody_to_judge() -> None:
    assert GateDecision(()) == decide_gate([ONE_POINT], [])


@pytest.mark.parametrize(
    ("limits", "evidence"),
    [
        pytest.param([], (), id="no limit"),
        pytest.param([ONE_POINT], (), id="no evidence for it"),
    ],
)
def test_a_caller_that_errs_is_told(limits: list[Limit], evidence: tuple[Evidence, ...]) -> None:
    with pytest.raises(ValueError, match="a gate has limits"):
        decide_gate(limits, [Finalist("int8", evidence)])
