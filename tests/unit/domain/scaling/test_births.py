"""Which counters were seen to begin."""

import math

import pytest

from dlagent.domain.scaling.births import BEFORE, NOT_YET, births
from dlagent.domain.scaling.samples import PodSamples

SAMPLED = PodSamples(successes=((90.0, 7.0), (100.0, 9.0)))


@pytest.mark.parametrize(
    ("known", "samples", "expected"),
    [
        pytest.param({}, {"a": SAMPLED}, BEFORE, id="it had samples when it was seen first"),
        pytest.param({}, {}, NOT_YET, id="it has none yet"),
        pytest.param({"a": NOT_YET}, {}, NOT_YET, id="it still has none"),
        pytest.param({"a": NOT_YET}, {"a": SAMPLED}, 90.0, id="its first ones are there"),
        pytest.param(
            {"a": NOT_YET},
            {"a": PodSamples(successes=((90.0, math.nan), (100.0, 9.0)))},
            100.0,
            id="NaN is no sample",
        ),
        pytest.param({"a": 90.0}, {}, 90.0, id="a gap is no new beginning"),
        pytest.param({"a": BEFORE}, {"a": SAMPLED}, BEFORE, id="nor after a gap"),
    ],
)
def test_birth(known: dict[str, float], samples: dict[str, PodSamples], expected: float) -> None:
    assert {"a": expected} == births(known, ["a"], samples)


def test_a_pod_that_is_gone_is_forgotten() -> None:
    assert {} == births({"a": 90.0}, [], {})
