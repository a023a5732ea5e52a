"""What a measurement can say: a value, that there is no traffic, or that nothing is known.

Three types, so that a lost series can never be taken for zero. Times are Unix seconds.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """A finite number, above zero where it is a rate, and the time of the newest sample in it."""

    value: float
    at: float


@dataclass(frozen=True, slots=True)
class NoTraffic:
    """It was measured, and nothing came."""

    at: float


@dataclass(frozen=True, slots=True)
class NoData:
    """Nothing is known; `why` is for people."""

    why: str


Reading = Measured | NoTraffic | NoData
