"""The download's loop: what it waits, and that no order of cuts changes what arrives."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlagent.build.sources.base import Interrupted, Stream, Wanted
from dlagent.build.sources.download import download, wait_seconds

CONTENT = bytes(range(100))


class Flaky:
    """Cuts after so many bytes in turn, and sometimes begins anew; then it gives all."""

    def __init__(self, cuts: list[tuple[int, bool]]) -> None:
        self._cuts = list(cuts)

    @contextmanager
    def open(self, offset: int) -> Iterator[Stream]:
        cut, anew = self._cuts.pop(0) if self._cuts else (None, False)
        start = 0 if anew else offset
        yield Stream(start, None, self._chunks(start, cut))

    def _chunks(self, start: int, cut: int | None) -> Iterator[bytes]:
        end = len(CONTENT) if cut is None else start + cut
        for at in range(start, min(end, len(CONTENT)), 7):
            yield CONTENT[at : min(at + 7, end)]
        if cut is not None:
            raise Interrupted("cut")


@settings(deadline=None)  # it writes files
@given(st.lists(st.tuples(st.integers(0, 120), st.booleans()), max_size=6))
def test_no_order_of_cuts_changes_what_arrives(cuts: list[tuple[int, bool]]) -> None:
    waits: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "copy"
        copied = download(Flaky(cuts), target, Wanted("s3://a/b", None, 1000), waits.append)
        assert CONTENT == target.read_bytes()

    assert (hashlib.sha256(CONTENT).hexdigest(), len(CONTENT)) == (
        copied.sha256,
        copied.size_bytes,
    )
    assert len(cuts) == len(waits)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [
        pytest.param(1, 0.5, id="soon after the first failure"),
        pytest.param(2, 1, id="twice as long after the next"),
        pytest.param(6, 16, id="after the sixth"),
        pytest.param(50, 30, id="never longer than half a minute"),
    ],
)
def test_each_wait_is_twice_as_long(failures: int, seconds: float) -> None:
    assert seconds == wait_seconds(failures)
