"""Random searches beside those that make everything in full."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.domain.search.candidate import SOURCE
from dlagent.domain.search.halving import EFFORTS
from tests.unit.build.test_search import candidate
from tests.unit.build.told_times import Bench, chosen, search

KINDS = tuple(
    candidate(name, trained=True, smaller=smaller)
    for name, smaller in (
        ("wide", "middle"),
        ("middle", "narrow"),
        ("narrow", None),
        ("wide+int8", "middle+int8"),
        ("middle+int8", "narrow+int8"),
        ("narrow+int8", None),
    )
)
OTHERS = tuple(candidate(name) for name in ("a", "b", "c"))
shares = st.floats(0.05, 1.2)
losses = st.sampled_from([0.0, 0.009, 0.011, 0.5])


@given(
    st.tuples(shares, shares, shares).map(sorted),
    st.tuples(shares, shares, shares).map(sorted),
    st.tuples(shares, shares, shares),
    st.lists(losses, min_size=9, max_size=9),
    st.sets(st.sampled_from([c.name for c in (*KINDS, *OTHERS)])),
)
def test_who_is_never_begun_could_not_have_won(
    sizes: list[float],
    quantised: list[float],
    others: tuple[float, ...],
    lost: list[float],
    refused: set[str],
) -> None:
    """Beside the search that makes all in full: that one's winner was given up for others after an
    estimate, or something that waits for it was; or the winner is as fast.
    """
    names = [c.name for c in (*KINDS, *OTHERS)]
    times = dict(zip(names, [*sizes[::-1], *quantised[::-1], *others], strict=True))
    drops = dict(zip(names, lost, strict=True))
    best: dict[int, str] = {}
    for efforts in (EFFORTS, (1.0,)):
        with pytest.MonkeyPatch.context() as patch:
            bench = Bench(drops, gate=lambda name: name not in refused)
            found = search(
                patch,
                bench,
                *KINDS,
                *OTHERS,
                times={SOURCE: 1.0, **times},
                efforts=efforts,
                seconds=10_000,
            )
        assert all(report.reason for report in found.reports)
        best[len(efforts)] = str(chosen(found))
        if efforts == EFFORTS:
            reports = {report.name: report for report in found.reports}
    times[SOURCE] = 1.0
    name: str | None = best[1]
    given_up = False
    while name is not None and not given_up:
        given_up = "; faster: " in reports[name].reason or "given up" in reports[name].reason
        name = next((c.smaller for c in KINDS if c.name == name), None)
    assert given_up or times[best[len(EFFORTS)]] <= times[best[1]] / 0.97
