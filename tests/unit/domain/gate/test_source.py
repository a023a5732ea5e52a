"""Whether the source can be a reference."""

from typing import Any

import numpy as np
import pytest

from dlagent.domain.gate.source import source_problem

LABELS = np.arange(1000) % 10


def answering(given: Any) -> Any:
    return np.eye(10)[given]


@pytest.mark.parametrize(
    ("scores", "labels", "k", "words"),
    [
        pytest.param(answering(LABELS), LABELS, 1, None, id="it is always right"),
        pytest.param(
            answering(np.random.default_rng(0).integers(0, 10, 1000)),
            LABELS,
            1,
            None,
            id="it guesses: bad, and yet a reference",
        ),
        pytest.param(
            answering((LABELS + 1) % 10),
            LABELS,
            1,
            "right for 0.00% of 1,000 examples, which is less than guessing among 10 classes gives"
            " (10.00%)",
            id="labels are numbered from one",
        ),
        pytest.param(
            answering((LABELS + 5) % 10)[:20],
            LABELS[:20],
            1,
            None,
            id="never right, on so few that guessing does as badly",
        ),
        pytest.param(
            -answering(LABELS), LABELS, 5, "(50.00%)", id="by the chance of k of the classes"
        ),
        pytest.param(-answering(LABELS), LABELS, 10, None, id="all classes are always right"),
        pytest.param(
            np.where(np.arange(1000)[:, None] >= 998, np.nan, answering(LABELS)),
            None,
            1,
            "NaN or infinity for 2 of 1,000 examples, first for number 998",
            id="it gives no numbers",
        ),
        pytest.param(np.zeros((5, 2, 2)), None, 1, None, id="without labels, numbers will do"),
    ],
)
def test_source(scores: Any, labels: Any, k: int, words: str | None) -> None:
    problem = source_problem(scores, labels, k)
    if words is None:
        assert problem is None
    else:
        assert problem is not None
        assert words in problem
