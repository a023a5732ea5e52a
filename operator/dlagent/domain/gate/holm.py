"""Several candidates judged at once: Holm's correction.

Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
Statistics 6. The chance that any candidate passes which should not is at most the level, whatever
the candidates have in common. Called by `decision`.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Held:
    """`level` is what the p-value was held against."""

    level: float
    passed: bool


def holm(p_values: Sequence[float], level: float, others: int = 0) -> list[Held]:
    """What becomes of each p-value, in the order given.

    The i-th smallest of m is held against level / (m - i + 1). None passes after the first that
    does not; those are held against the level at which that one stopped. `others` belong to the m
    as well: they are judged at another time, and count as if they had the largest p-values.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    held: dict[int, Held] = {}
    stopped: float | None = None
    for rank, index in enumerate(order):
        own = level / (len(order) + others - rank) if stopped is None else stopped
        passed = stopped is None and p_values[index] <= own
        if not passed:
            stopped = own
        held[index] = Held(own, passed)
    return [held[index] for index in range(len(p_values))]
