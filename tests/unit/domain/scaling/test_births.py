"""Which counters were seen to begin."""

import math

import pytest

from dlagent.domain.scaling.births import BEFORE, NOT_YET, births
from dlagent.domain.scaling.samples import PodSamples

SAMPLED = PodSamples(successes=((90.0, 7.0), (100.0, 9.0)))
NOW, WINDOW = 105.0, 60.0
JUST_READY, LONG_READY = 80.0, 20.0


@pytest.mark.parametrize(
    ("known", "samples", "ready_since", "expected"),
    [
        pytest.param({}, {"a": SAMPLED}, None, BEFORE, id="it had samples when it was seen first"),
        pytest.param({}, {}, None, NOT_YET, id="it has none yet"),
        pytest.param({}, {}, JUST_READY, NOT_YET, id="it just became ready"),
        pytest.param({}, {}, LONG_READY, BEFORE, id="it has answered unseen for a window"),
        pytest.param({"a": NOT_YET}, {}, None, NOT_YET, id="it still has none"),
        pytest.param({"a": NOT_YET}, {}, LONG_READY, BEFORE, id="it is not scraped"),
        pytest.param({"a": NOT_YET}, {"a": SAMPLED}, None, 90.0, id="its first ones are there"),
        pytest.param({"a": NOT_YET}, {"a": SAMPLED}, JUST_READY, 90.0, id="and it is ready"),
        pytest.param({"a": NOT_YET}, {"a": SAMPLED}, LONG_READY, BEFORE, id="they came too late"),
        pytest.param(
            {"a": NOT_YET},
            {"a": PodSamples(successes=((90.0, math.nan), (100.0, 9.0)))},
            JUST_READY,
            100.0,
            id="NaN is no sample",
        ),
        pytest.param({"a": 90.0}, {}, LONG_READY, 90.0, id="a gap is no new beginning"),
        pytest.param({"a": BEFORE}, {"a": SAMPLED}, JUST_READY, BEFORE, id="nor after a gap"),
    ],
)
def test_birth(
    known: dict[str, float],
    samples: dict[str, PodSamples],
    ready_since: float | None,
    expected: float,
) -> None:
    assert {"a": expected} == births(known, {"a": ready_since}, samples, NOW, WINDOW)


def test_a_pod_that_is_gone_is_forgotten() -> None:
    assert {} == births({"a": 90.0}, {}, {}, NOW, WINDOW)
