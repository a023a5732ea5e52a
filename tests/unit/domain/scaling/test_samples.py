"""Which samples of a counter are believed."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.scaling.samples import for_a_rate, increase


@pytest.mark.parametrize(
    ("values", "believed"),
    [
        pytest.param((100, 130, 160, 190), (100, 130, 160, 190), id="a counter that rises"),
        pytest.param((100, 100, 100, 100), (100, 100, 100, 100), id="a counter that stands"),
        pytest.param((500, 530, 20, 50), (500, 530, 20, 50), id="a reset"),
        pytest.param((500, 530, 560, 20), (500, 530, 560), id="a fall waits to be confirmed"),
        pytest.param((500, 0, 560, 590), (500, 560, 590), id="a fall that is taken back"),
        pytest.param((500, 9000, 560, 590), (500, 560, 590), id="a rise that is taken back"),
        pytest.param((500, 530, 560, 1e12), (500, 530, 560), id="a rise that no Triton makes"),
        pytest.param((9000, 20, 50, 80), (20, 50, 80), id="what was before a reset, if first"),
        pytest.param((0, 90_000, 90_030, 90_060), (90_000, 90_030, 90_060), id="an odd beginning"),
        pytest.param((0, 200, 210, 220), (0, 200, 210, 220), id="a load that has fallen"),
        pytest.param((100, math.nan, 160, -1), (100, 160), id="what no counter can be"),
        pytest.param((), (), id="nothing"),
    ],
)
def test_what_is_believed(values: tuple[float, ...], believed: tuple[float, ...]) -> None:
    found = for_a_rate(tuple((15.0 * number, value) for number, value in enumerate(values)))
    assert believed == tuple(value for _, value in found)


@given(
    st.lists(st.floats(0, 40), min_size=4, max_size=8),
    st.integers(1, 7),
    st.floats(0, 2e19),
)
def test_one_odd_sample_counts_no_more_than_an_interval_of_the_fastest(
    steps: list[float], place: int, value: float
) -> None:
    times = [15.0 * number for number in range(len(steps) + 1)]
    whole = [1e6]
    for step in steps:
        whole.append(whole[-1] + step)
    place = min(place, len(steps) - 1)
    odd = [*whole[:place], value, *whole[place + 1 :]]
    found = for_a_rate(tuple(zip(times, odd, strict=True)))
    assert all(later >= earlier for (_, earlier), (_, later) in pairwise(found))
    assert increase(found) <= whole[-1] - whole[0] + 1e-6
