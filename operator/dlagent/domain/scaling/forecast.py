"""What may come in the next minutes: not a number, but how often how much.

A regression on the logarithm predicts the mean load of the minutes ahead from the last minutes and
from the same time of the day before. What it got wrong in the last two days, path by path, is how
wrong it may be now: residuals of moments with a like level (an analog ensemble: Delle Monache et
al., Monthly Weather Review 141, 2013). They are not assumed to have any shape, so bursts that come
once an hour are in them as they are.

dlagent.domain.scaling.foresight makes of it what too few replicas would cost. `fit` is called every
half hour, `predicted` at each tick. Rates are requests/s.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dlagent.domain.scaling.history import DAY_STEPS, STEP_SECONDS, History

Floats = NDArray[np.float64]
_Logs = TypeVar("_Logs", float, Floats)  # of one moment, or of many

_WINDOWS = (1, 3, 10, 40)  # minutes, over which means are looked at
_PEAK_STEPS = 10
_LOST_STEPS = 30
_LEARNED_STEPS = 2 * DAY_STEPS
_SEASON_STEPS = 7  # minutes around the same time of the day before
_RIDGE = 20.0  # as if so many minutes had said that the last minute goes on
_FLOOR_SHARE, _LEAST_FLOOR = 0.02, 1e-3  # of the mean rate; requests/s
_GROUPS = 8  # of levels, each with its own residuals
_PATHS = 128  # of a group, at most
_FEWEST = 20  # in a group
_MORE_THAN_EVER = 1.25  # times the busiest minute: what is believed at most
# Before there is a history: a random walk of the logarithm, each minute by so much.
_PRIOR_PATHS = 32
_PRIOR_STEP = 0.08
_PRIOR_UNTIL_STEPS = 120


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Of the mean rate of the next `steps` minutes.

    `levels` [group] is the least predicted logarithm of each group, rising, the first -inf;
    `floor` is a rate that counts as nearly nothing, added before logarithms are taken.
    """

    weights: Floats
    levels: Floats
    floor: float
    steps: int

    def group(self, predicted: float) -> int:
        """Whose residuals belong to a predicted logarithm."""
        return int(self.levels.searchsorted(predicted, side="right")) - 1


def fit(history: History, steps: int) -> tuple[Forecast, Floats]:
    """The forecast, and [group, path, minute]: by how much log(rate + floor) was off, at times
    when as much was predicted.
    """
    rates = history.rates.astype(np.float64)
    floor = _floor(rates)
    means = _Means(rates, floor)
    rows = np.arange(max(0, len(rates) - steps))
    features, valid = means.features(rows, steps)
    ahead = means.mean(rows + steps, steps)
    valid &= np.isfinite(ahead)
    rows, features = rows[valid][-_LEARNED_STEPS:], features[valid][-_LEARNED_STEPS:]
    weights = _ridge(features, np.log(ahead[rows] + floor))
    predicted = features @ weights
    paths = np.log(rates[rows[:, None] + 1 + np.arange(steps)] + floor) - predicted[:, None]
    whole = np.isfinite(paths).all(axis=1)
    most = math.log(_MORE_THAN_EVER * float(np.nanmax(rates, initial=0.0)) + floor)
    levels, residuals = _groups(predicted[whole], paths[whole], steps, most)
    return Forecast(weights, levels, floor, steps), residuals


def predicted(forecast: Forecast, history: History, rate: float) -> float:
    """log(mean rate of the minutes ahead + floor), where `rate` is that of the minute until now."""
    floor, row = forecast.floor, len(history.rates)
    recent = [*history.rates[max(0, row + 1 - _WINDOWS[-1]) :].tolist(), rate]
    logs = [_log_mean(recent[-window:], floor) for window in _WINDOWS]
    peak = max(one for one in recent[-_PEAK_STEPS:] if not math.isnan(one))
    ends = ((row + shift + 1, width) for shift, width in _day_before(forecast.steps))
    ahead, then = (
        _log_mean(history.rates[end - width : end].tolist() if end > width else [], floor)
        for end, width in ends
    )
    columns = [1.0, *_columns(logs, math.log(peak + floor), ahead, then)]
    known = [0.0 if math.isnan(column) else column for column in columns]
    return math.fsum(map(mul, forecast.weights.tolist(), known))


def as_the_day_before(history: History, now: float, lead_seconds: float) -> float | None:
    """The rate that is due after the lead, where the last known one grew as a day before.

    None where nothing is known of the last half hour, or of the day before.
    """
    rates = history.at(now).rates.astype(np.float64)
    known = np.flatnonzero(np.isfinite(rates[-_LOST_STEPS:])) + max(0, len(rates) - _LOST_STEPS)
    if not len(known):
        return None
    due = len(rates) - 1 + math.ceil(lead_seconds / STEP_SECONDS)
    floor = _floor(rates)
    means = _Means(rates, floor)
    lost = int(known[-1])
    then, ahead = means.mean(np.array([lost, due]) - DAY_STEPS + _SEASON_STEPS, 2 * _SEASON_STEPS)
    if lost - DAY_STEPS < _SEASON_STEPS or not (math.isfinite(then) and math.isfinite(ahead)):
        return None
    return float(max(0.0, (rates[lost] + floor) * (ahead + floor) / (then + floor) - floor))


def _floor(rates: Floats) -> float:
    known = rates[np.isfinite(rates)]
    return max(_LEAST_FLOOR, _FLOOR_SHARE * float(known.mean())) if len(known) else _LEAST_FLOOR


class _Means:
    """Means over windows of a series with holes, each in a few operations for all rows."""

    def __init__(self, rates: Floats, floor: float) -> None:
        self._rates, self._floor = rates, floor
        there = np.isfinite(rates)
        self._sums = np.concatenate([[0.0], np.cumsum(np.where(there, rates, 0.0))])
        self._counts = np.concatenate([[0], np.cumsum(there)])

    def mean(self, last: NDArray[np.int64], steps: int) -> Floats:
        """Of so many minutes up to `last`; NaN where less than half of them was measured."""
        end = np.minimum(last + 1, len(self._rates))
        first = np.maximum(end - steps, 0)
        end = np.maximum(end, 0)
        count = self._counts[end] - self._counts[first]
        known = count * 2 >= np.minimum(steps, np.maximum(end, 1))
        found: Floats = np.full(len(last), np.nan)
        np.divide(self._sums[end] - self._sums[first], count, out=found, where=known & (count > 0))
        return found

    def features(self, rows: NDArray[np.int64], steps: int) -> tuple[Floats, NDArray[np.bool_]]:
        """[row, feature], and the rows whose last minute is known. What else is not known is 0:
        then it says nothing.
        """
        logs = [np.log(self.mean(rows, window) + self._floor) for window in _WINDOWS]
        recent = np.maximum(rows[:, None] - np.arange(_PEAK_STEPS), 0)
        peak = np.log(np.fmax.reduce(self._rates[recent], axis=1) + self._floor)
        ahead, then = (
            np.where(
                rows + shift >= width, np.log(self.mean(rows + shift, width) + self._floor), np.nan
            )
            for shift, width in _day_before(steps)
        )
        columns = [np.ones(len(rows)), *_columns(logs, peak, ahead, then)]
        return np.nan_to_num(np.stack(columns, axis=1), nan=0.0), np.isfinite(logs[0])


def _day_before(steps: int) -> list[tuple[int, int]]:
    """The minutes a day before those ahead and a day before now: the last of them, and how many."""
    middles = ((1 + steps) // 2, _SEASON_STEPS + steps), (-5, 2 * _SEASON_STEPS)
    return [(middle - DAY_STEPS + width // 2, width) for middle, width in middles]


def _columns(logs: Sequence[_Logs], peak: _Logs, ahead: _Logs, then: _Logs) -> list[_Logs]:
    """The features beside the constant, of logarithms of means."""
    return [
        logs[0],
        logs[1] - logs[0],
        logs[2] - logs[0],
        logs[3] - logs[0],
        peak - logs[3],
        ahead - then,
        ahead - logs[3],
    ]


def _log_mean(rates: list[float], floor: float) -> float:
    """NaN where less than half of the minutes was measured."""
    total, count = sum(rates), len(rates)
    if math.isnan(total):
        known = [rate for rate in rates if not math.isnan(rate)]
        total, count = sum(known), len(known)
    if not count or 2 * count < len(rates):
        return math.nan
    return math.log(total / count + floor)


def _ridge(features: Floats, wanted: Floats) -> Floats:
    """Least squares about what holds without any data: the last minute goes on as it is."""
    count = features.shape[1]
    prior = np.zeros(count)
    prior[1] = 1.0
    gram = features.T @ features + _RIDGE * np.eye(count)
    solved: Floats = np.asarray(np.linalg.solve(gram, features.T @ wanted + _RIDGE * prior))
    return solved


def _groups(predicted: Floats, paths: Floats, steps: int, most: float) -> tuple[Floats, Floats]:
    """Equally large groups by level, thinned to as many paths each; with a prior while there are
    few. What happens when nothing runs must not be expected, times a hundred, when much does: no
    path leads above `most`, a logarithm, from the middle of its group.
    """
    order = np.argsort(predicted, kind="stable")
    count = min(_GROUPS, max(1, len(order) // _FEWEST))
    parts = np.array_split(order, count)
    size = min(_PATHS, *(len(part) for part in parts))
    picked = [part[np.linspace(0, len(part) - 1, size).astype(int)] for part in parts]
    levels = np.array([-math.inf, *(predicted[part[0]] for part in parts[1:])])
    assumed = _prior(steps, max(0.0, 1 - len(paths) / _PRIOR_UNTIL_STEPS))
    middles = [float(np.median(predicted[part])) if len(part) else most for part in picked]
    residuals = [
        np.concatenate([np.minimum(paths[part], max(0.0, most - middle)), assumed])
        for part, middle in zip(picked, middles, strict=True)
    ]
    return levels, np.stack(residuals)


def _prior(steps: int, share: float) -> Floats:
    """Walks that go on as they began, at equally likely quantiles; fewer for a smaller share."""
    count = math.ceil(_PRIOR_PATHS * share)
    ways = np.array([NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)])
    found: Floats = _PRIOR_STEP * ways[:, None] * np.sqrt(np.arange(1.0, steps + 1))
    return found
