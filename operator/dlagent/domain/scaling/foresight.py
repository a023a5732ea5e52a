"""How many requests too few replicas would miss, over all that may come.

`Forecast` says which paths of load occur how often; the queue of one replica, which share of its
requests is late at a load. Beyond saturation what comes has to wait: a fluid queue, minute by
minute. n replicas at n times the load miss n times as much, so one curve for each group of paths is
enough: what one replica misses, by the load that is predicted for it.

dlagent.domain.scaling.need asks `missed` at each tick; `foresee` is called every half hour.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dlagent.domain.scaling.capacity import attained_share, limited
from dlagent.domain.scaling.forecast import Forecast, fit
from dlagent.domain.scaling.history import STEP_SECONDS, History
from dlagent.domain.scaling.service_time import ServiceTime

Floats = NDArray[np.float64]
Work = NDArray[np.float32]  # seconds of a replica

# Loads of a replica, as shares of saturation, at which curves are known.
_LOADS = np.geomspace(0.05, 8.0, 56)
_LOG_LOADS = np.log(_LOADS)
_NOTHING = 1e-12  # seconds of work that is missed: next to none
_SHARES = np.concatenate([np.linspace(0.0, 0.6, 7), np.linspace(0.64, 1.0, 19)])
_FINE = 4096  # steps of a share of saturation: a table is quicker than to interpolate
_OFTEN = 0.95
_MOMENT = 1e-4  # seconds: what takes no time at all takes no longer
_STEADY = 0.95  # above this share of saturation a queue does not get long within a minute


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be foreseen. A pod that is asked for now answers after `lead_seconds`, and what
    is decided now stays for `hold_seconds` after that.
    """

    service: ServiceTime
    threshold_seconds: float
    lead_seconds: float
    hold_seconds: float

    @property
    def steps(self) -> int:
        """Minutes that are looked ahead."""
        return math.ceil((self.lead_seconds + self.hold_seconds) / STEP_SECONDS)


@dataclass(frozen=True, slots=True, eq=False)
class Foresight:
    """[group, load]: what one replica misses until what is asked for now is ready (`near`), and
    after that (`far`), in seconds of its work at saturation. `peaks` [group]: times the predicted
    rate that the busiest minute exceeds one time in twenty. `learned_until` is the end of the
    history behind it.
    """

    outlook: Outlook
    forecast: Forecast
    near: Work
    far: Work
    peaks: Floats
    learned_until: float

    def missed(
        self, predicted: float, replicas: Floats, present: float, saturation: float
    ) -> Floats:
        """Requests that are missed with each number of replicas, where `present` are there now:
        more are there after the lead only.

        `predicted` is as dlagent.domain.scaling.forecast has it; `saturation` is what a replica
        answers at most, in requests/s.
        """
        group, rate = self.forecast.group(predicted), math.exp(predicted)
        there = np.minimum(replicas, present)
        early = there * _read(self.near[group], rate / there / saturation)
        late = replicas * _read(self.far[group], rate / replicas / saturation)
        found: Floats = saturation * (early + late)
        return found


def foresee(history: History, outlook: Outlook, until: float) -> Foresight:
    """Learn from a history what may come, and what it would do to a replica."""
    forecast, residuals = fit(history.until(until), outlook.steps)
    late = late_shares(outlook.service, outlook.threshold_seconds)
    on_time = np.interp(np.linspace(0, 1, _FINE + 1), _SHARES, 1 - late).astype(np.float32)
    slack = max(0.0, outlook.threshold_seconds - outlook.service.seconds(outlook.service.max_batch))
    factors = np.exp(residuals).astype(np.float32)[:, None]  # [group, 1, path, minute]
    loads = _LOADS.astype(np.float32)[:, None]
    waiting = np.zeros((len(residuals), len(_LOADS), residuals.shape[1]), np.float32)  # seconds
    near, far = np.zeros((2, len(residuals), len(_LOADS)))
    for step in range(outlook.steps):
        load = loads * factors[..., step]
        after = (load - 1) * STEP_SECONDS
        after += waiting
        np.maximum(after, 0, out=after)
        in_time = _worked_off(waiting, after, slack)
        in_time *= on_time[np.minimum(load * _FINE + 0.5, _FINE).astype(np.int16)]
        load *= 1 - in_time
        misses = STEP_SECONDS * load.mean(axis=2, dtype=np.float64)
        early = min(1.0, max(0.0, outlook.lead_seconds / STEP_SECONDS - step))
        near += early * misses
        far += (1 - early) * misses
        waiting = after
    peaks = np.quantile(factors.max(axis=3), _OFTEN, axis=2)[:, 0]
    curves = near.astype(np.float32), far.astype(np.float32)
    return Foresight(outlook, forecast, *curves, peaks, until)


@lru_cache(maxsize=4096)
def late_shares(service: ServiceTime, threshold_seconds: float) -> Floats:
    """The share of requests that are late in a steady queue, at the loads of `_SHARES`."""
    service = limited(service)
    rates = np.minimum(_SHARES, _STEADY) * service.saturation
    return np.array([1 - attained_share(service, rate, threshold_seconds) for rate in rates])


def _worked_off(before: Work, after: Work, slack: float) -> Work:
    """The share of a minute in which what waits takes at most `slack` seconds."""
    low = np.minimum(before, after)
    part = np.abs(after - before)
    np.maximum(part, _MOMENT, out=part)
    np.subtract(slack + _MOMENT, low, out=low)
    np.divide(low, part, out=part)
    found: Work = np.clip(part, 0.0, 1.0, out=part)
    return found


def _read(curve: Work, loads: Floats) -> Floats:
    """A power of the load between those that are known, and in proportion below and above them.

    What is late rises with such a power that straight lines would tell half as much again.
    """
    inside = np.minimum(np.maximum(loads, _LOADS[0]), _LOADS[-1])
    powers = np.interp(np.log(inside), _LOG_LOADS, np.log(np.maximum(curve, _NOTHING)))
    found: Floats = np.exp(powers) * (loads / inside)
    return found
