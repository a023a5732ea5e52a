"""What is said of each candidate that was made in full."""

import pytest

from dlagent.api.types import Metric as MetricKind
from dlagent.domain.artifact.report import Verdict
from dlagent.domain.gate.limit import Limit
from dlagent.domain.gate.metrics import Metric
from dlagent.domain.search.candidate import SOURCE, Candidate, Precision
from dlagent.domain.search.halving import Estimate
from dlagent.domain.search.timing import Interval
from dlagent.domain.search.verdict import NOT_JUDGED, verdict_of


def estimate(name: str, time: float, drop: float = 0.0) -> Estimate:
    candidate = Candidate(name=name, optimisation="x", precision=Precision.INT8)
    return Estimate(candidate, 1.0, Interval(time, time - 0.01, time + 0.01), drop, 0.0, drop, 1.0)


BEST = estimate("best", 0.25)
SENTENCE = "loses 0.10 points, at most 0.40"


@pytest.mark.parametrize(
    ("one", "chosen", "gate", "expected"),
    [
        pytest.param(
            BEST,
            BEST,
            (True, SENTENCE),
            (Verdict.CHOSEN, f"4 times as fast as the source; {SENTENCE}"),
            id="the winner",
        ),
        pytest.param(
            BEST,
            BEST,
            None,
            (Verdict.CHOSEN, "4 times as fast as the source"),
            id="the winner where there is no data to judge on",
        ),
        pytest.param(
            estimate(SOURCE, 1.0),
            estimate(SOURCE, 1.0),
            None,
            (Verdict.CHOSEN, "nothing that was tried is faster and keeps the accuracy"),
            id="the source",
        ),
        pytest.param(
            estimate("a", 0.1),
            BEST,
            (False, "loses too much"),
            (Verdict.GATE_FAILED, "loses too much"),
            id="a finalist that did not pass",
        ),
        pytest.param(
            estimate("a", 0.1, drop=0.03),
            BEST,
            None,
            (Verdict.DROPPED, "loses 3.00 points of Accuracy on the selection examples"),
            id="it never came before the gate",
        ),
        pytest.param(
            estimate("a", 0.5),
            BEST,
            (True, SENTENCE),
            (Verdict.SLOWER, "takes 50% of the source's time, best takes 25%"),
            id="another is faster",
        ),
        pytest.param(
            estimate(SOURCE, 1.0),
            BEST,
            None,
            (Verdict.SLOWER, "best takes 25% of its time"),
            id="the source itself",
        ),
        pytest.param(
            estimate("a", 0.26),
            BEST,
            None,
            (
                Verdict.SLOWER,
                "as fast as best within the noise of measuring, which loses less or is simpler",
            ),
            id="a tie that it lost",
        ),
        pytest.param(
            estimate("a", 0.5),
            None,
            None,
            (Verdict.DROPPED, NOT_JUDGED),
            id="nobody was chosen, since the gate judged others",
        ),
        pytest.param(
            estimate("a", 0.2),
            BEST,
            None,
            (Verdict.DROPPED, NOT_JUDGED),
            id="faster, but the gate judged others",
        ),
    ],
)
def test_verdicts(
    one: Estimate,
    chosen: Estimate | None,
    gate: tuple[bool, str] | None,
    expected: tuple[Verdict, str],
) -> None:
    assert expected == verdict_of(one, chosen, Limit(Metric(MetricKind.ACCURACY), 0.01), gate)
