"""Triton's counters of batches by their size, and what happened between two looks at a pod.

dlagent.adapters.batch_statistics reads them, dlagent.domain.scaling.learning learns from the
difference. A batch's time is what Triton worked at it: compute_input, compute_infer and
compute_output together, as the build measures it (dlagent.adapters.trial_server). Unlike the
counters of /metrics these count each batch once, whatever requests were in it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dlagent.domain.artifact.layout import MEMBERS

# Before the first request Triton warms up, and a size that comes first is slow once. Where counters
# are read from their beginning, a size with fewer batches may be nothing else.
_FEWEST_FROM_ZERO = 20


class Worked(NamedTuple):
    """So many batches of one size, and the seconds worked at all of them."""

    batches: float
    seconds: float


BySize = Mapping[int, Worked]


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """All counters of one pod since its Triton began, by model and batch size, at Unix seconds."""

    pod: str
    at: float
    models: Mapping[str, BySize]


@dataclass(frozen=True, slots=True)
class Observed:
    """What one pod did between two looks, by batch size; each has batches and time.

    `busy` is how many instances were at work at a time, on average; 0 where that is not known.
    """

    by_size: BySize
    busy: float


def observed(before: BatchCounts | None, after: BatchCounts, agent: str) -> Observed | None:
    """None where the two are of different pods: then the next look tells more.

    Without a look before, the counters are taken from their beginning, which is where an operator
    that was restarted begins; so they are where one of them fell, since Triton has restarted. Of an
    ensemble a batch takes the sum of its members' times, as the build measures it, for the sizes
    that all of them had.
    """
    if before is not None and before.pod != after.pod:
        return None
    parts = [name for name in MEMBERS if name in after.models] or [agent]
    now = [after.models.get(part, {}) for part in parts]
    then = [before.models.get(part, {}) for part in parts] if before is not None else []
    if before is None or any(_fell(b, a) for b, a in zip(then, now, strict=True)):
        whole = [
            {size: its for size, its in part.items() if its.batches >= _FEWEST_FROM_ZERO}
            for part in now
        ]
        return Observed(_together(whole), busy=0.0)
    spans = [_difference(b, a) for b, a in zip(then, now, strict=True)]
    return Observed(_together(spans), _busy(spans, after.at - before.at))


def _fell(before: BySize, after: BySize) -> bool:
    return any(
        size not in after
        or after[size].batches < known.batches
        or after[size].seconds < known.seconds
        for size, known in before.items()
    )


def _difference(before: BySize, after: BySize) -> dict[int, Worked]:
    nothing = Worked(0.0, 0.0)
    return {
        size: Worked(
            its.batches - before.get(size, nothing).batches,
            its.seconds - before.get(size, nothing).seconds,
        )
        for size, its in after.items()
    }


def _together(parts: Sequence[BySize]) -> dict[int, Worked]:
    usable = [{size: its for size, its in part.items() if _is_usable(its)} for part in parts]
    common = set.intersection(*(set(part) for part in usable))
    found = {}
    for size in sorted(common):
        batches = min(part[size].batches for part in usable)
        mean = sum(part[size].seconds / part[size].batches for part in usable)
        found[size] = Worked(batches, mean * batches)
    return found


def _is_usable(its: Worked) -> bool:
    return 0 < its.batches < math.inf and 0 < its.seconds < math.inf


def _busy(spans: Sequence[BySize], seconds: float) -> float:
    """Of the member with the least to do; 0 after a clock has jumped back."""
    work = min(sum(its.seconds for its in span.values()) for span in spans)
    return work / seconds if 0 < seconds and 0 <= work < math.inf else 0.0
