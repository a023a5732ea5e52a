"""Generated traffic: requests/s by minute, of seven kinds. Minute 0 is a midnight.

`benchmarks.scaler_study.cases` makes traces of it. The shapes are not fitted to any trace, and
nothing in the operator is tuned to them.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Shape = Callable[[int, np.random.Generator], Floats]

_DAY = 1440  # minutes
_PEAK_MINUTE = 840  # of the day: two in the afternoon
_SWING, _OF_A_DAY = 0.6, 0.05  # of the mean: noon's excess; how much one day differs from another
_LOW, _HIGH = 0.3, 2.0  # between which levels of ramps and steps are drawn
_RAMP_MINUTES, _STEP_MINUTES = (20, 90), 60.0
_BURST_EACH_MINUTES, _BURST_MINUTES = 60.0, 5.0
_BURST_TAIL, _BURST_LEAST, _BURST_MOST = 1.5, 1.0, 8.0  # of Pareto heights, over a base of 1
_ON_MINUTES, _OFF_MINUTES, _OFF_SHARE = 15.0, 30.0, 0.1
_SESSIONS_PER_MINUTE, _SESSION_TAIL, _SESSION_MINUTES = 2.0, 1.4, 3.0


def rates(kind: str, mean: float, minutes: int, seed: int) -> Floats:
    """Requests/s in each minute, `mean` of them on average. KeyError for an unknown kind."""
    number = list(KINDS).index(kind) if kind in KINDS else -1
    drawn = KINDS[kind](minutes, np.random.default_rng([seed, number]))
    found: Floats = drawn * (mean / drawn.mean())
    return found


def _steady(minutes: int, _generator: np.random.Generator) -> Floats:
    return np.ones(minutes)


def _diurnal(minutes: int, generator: np.random.Generator) -> Floats:
    """A sine each day, the level of which differs a little from one day to the next."""
    minute = np.arange(minutes)
    curve = 1 + _SWING * np.cos(2 * np.pi * (minute - _PEAK_MINUTE) / _DAY)
    days = np.exp(generator.normal(0.0, _OF_A_DAY, minutes // _DAY + 2))
    level = np.interp(minute / _DAY, np.arange(len(days)), days)
    found: Floats = curve * level
    return found


def _ramps(minutes: int, generator: np.random.Generator) -> Floats:
    """Straight lines from one level to another."""
    corners, levels = [0.0], [generator.uniform(_LOW, _HIGH)]
    while corners[-1] < minutes:
        corners.append(corners[-1] + generator.uniform(*_RAMP_MINUTES))
        levels.append(generator.uniform(_LOW, _HIGH))
    found: Floats = np.interp(np.arange(minutes), corners, levels)
    return found


def _steps(minutes: int, generator: np.random.Generator) -> Floats:
    """Levels that last an exponential time."""
    found = np.empty(minutes)
    begins = 0
    while begins < minutes:
        ends = begins + 1 + int(generator.exponential(_STEP_MINUTES))
        found[begins:ends] = generator.uniform(_LOW, _HIGH)
        begins = ends
    return found


def _bursts(minutes: int, generator: np.random.Generator) -> Floats:
    """A flat base, and bursts at Poisson times whose heights have a Pareto tail, cut off."""
    found = np.ones(minutes)
    for begins in generator.integers(0, minutes, generator.poisson(minutes / _BURST_EACH_MINUTES)):
        height = _BURST_LEAST * (1 + generator.pareto(_BURST_TAIL))
        lasts = 1 + int(generator.exponential(_BURST_MINUTES))
        found[begins : begins + lasts] += min(height, _BURST_MOST)
    return found


def _on_off(minutes: int, generator: np.random.Generator) -> Floats:
    """One source that is on and off for exponential times, and never quite silent."""
    found = np.empty(minutes)
    begins, on = 0, False
    while begins < minutes:
        ends = begins + 1 + int(generator.exponential(_ON_MINUTES if on else _OFF_MINUTES))
        found[begins:ends] = 1.0 if on else _OFF_SHARE
        begins, on = ends, not on
    return found


def _sessions(minutes: int, generator: np.random.Generator) -> Floats:
    """Sessions that come at Poisson times and last a Pareto time: their number is self-similar.

    The M/G/infinity model of Leland, Taqqu, Willinger and Wilson, "On the self-similar nature of
    Ethernet traffic" (1994). The first of them begin a day before.
    """
    changes = np.zeros(minutes + 1)
    count = generator.poisson((minutes + _DAY) * _SESSIONS_PER_MINUTE)
    begins = generator.integers(-_DAY, minutes, count)
    lasts = np.ceil(_SESSION_MINUTES * (1 + generator.pareto(_SESSION_TAIL, count)))
    ends = np.minimum(begins + lasts, minutes).astype(int)
    alive = ends > 0
    np.add.at(changes, np.maximum(begins[alive], 0), 1.0)
    np.add.at(changes, ends[alive], -1.0)
    found: Floats = np.cumsum(changes)[:minutes]
    return found


KINDS: Mapping[str, Shape] = {
    "steady": _steady,
    "diurnal": _diurnal,
    "ramps": _ramps,
    "steps": _steps,
    "bursts": _bursts,
    "on-off": _on_off,
    "sessions": _sessions,
}
