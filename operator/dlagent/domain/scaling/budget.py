"""What is spent of the error budget, and what a missed request is worth for it.

The fewest replicas that keep a promise are those that minimise replicas x time + price x missed
requests for some price (its Lagrange multiplier). Nobody knows the price beforehand; but where it
is too low the budget is spent too fast, and where it is too high, too little. So it follows what
was spent in the last day, and in the last hour where that was too much: dual ascent.

dlagent.domain.scaling.need asks `price`; who decides keeps the books by `spent`. Times are Unix
seconds.
"""

import math
from dataclasses import dataclass

BIN_SECONDS = 900.0
_DAY_SECONDS, HOUR_SECONDS = 86_400.0, 3600.0
# Of the budget, this share is meant to be spent: what is left is for what no forecast sees.
_MEANT = 0.7
# A prior, of a promise that is spent as meant: the first misses of a day are not the day's share.
_PRIOR_SECONDS = 3 * HOUR_SECONDS
_GAIN = 2.0
_LOWEST, _HIGHEST = 0.05, 10.0  # times the price at first
# Of the price at first: an hour of one replica at capacity, as missed requests, is worth about this
# many times the allowed ones. Near capacity, one in a hundred fewer replicas adds six in a hundred
# to what is missed.
_ELASTICITY = 6.0


@dataclass(frozen=True, slots=True)
class Spending:
    """One quarter of an hour: requests, and those that missed."""

    begins: float
    requests: float
    missed: float


@dataclass(frozen=True, slots=True)
class Budget:
    """The last day, by quarters of an hour, the oldest first."""

    bins: tuple[Spending, ...] = ()


def spent(budget: Budget, requests: float, missed: float, now: float) -> Budget:
    """With what was answered since the last call."""
    begins = math.floor(now / BIN_SECONDS) * BIN_SECONDS
    kept = tuple(one for one in budget.bins if now - _DAY_SECONDS <= one.begins <= now)
    if kept and kept[-1].begins == begins:
        last = kept[-1]
        merged = Spending(begins, last.requests + requests, last.missed + missed)
        return Budget((*kept[:-1], merged))
    if requests <= 0:
        return budget if kept == budget.bins else Budget(kept)
    return Budget((*kept, Spending(begins, requests, missed)))


def burn_rate(budget: Budget, objective: float, seconds: float, prior: float, now: float) -> float:
    """Missed requests over allowed ones in the last `seconds`; 1 spends the budget exactly.

    As if `prior` requests more had missed as meant, so that a few cannot decide.
    """
    bins = [one for one in budget.bins if one.begins > now - seconds - BIN_SECONDS]
    allowed = (1 - objective) * (sum(one.requests for one in bins) + prior)
    missed = sum(one.missed for one in bins) + _MEANT * (1 - objective) * prior
    return missed / allowed if allowed > 0 else _MEANT


def price(budget: Budget, objective: float, capacity: float, rate: float, now: float) -> float:
    """What a missed request is worth, in replica-seconds; more while the budget is spent fast.

    `capacity` (requests/s of one replica within the promise) and `rate` (requests/s) give scale.
    """
    first = 1 / (_ELASTICITY * capacity * (1 - objective))
    day = burn_rate(budget, objective, _DAY_SECONDS, _PRIOR_SECONDS * rate, now)
    hour = burn_rate(budget, objective, HOUR_SECONDS, _PRIOR_SECONDS / 3 * rate, now)
    factor = math.pow(min(day / _MEANT, _HIGHEST), _GAIN) * max(1.0, hour)  # a power may overflow
    return first * min(_HIGHEST, max(_LOWEST, factor))
