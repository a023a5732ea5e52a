"""The requests of a replay: a part of a trace, drawn anew for each seed.

A trace says how many requests came in each step, so when each of them came is drawn: a Poisson
process inside the step. What lies before the part is used too. The last half hour, or step if that
is longer, warms up, so that policies do not begin with empty windows; what is before it is what
Prometheus would have of the days before.

`dlagent replay` and the benchmarks call `plan_load` once and `draw` for each seed: all policies of
one seed get the same requests.
"""

import math
from dataclasses import dataclass

import numpy as np

from dlagent.domain.scaling.history import KEPT_STEPS, STEP_SECONDS
from dlagent.domain.traffic.trace import Trace, TraceError
from dlagent.replay.baselines import replica
from dlagent.replay.engine import Requests, requests_at
from dlagent.replay.policy import Floats, Manifest

WARM_UP_SECONDS = 1800.0
HISTORY_SECONDS = KEPT_STEPS * STEP_SECONDS  # what `ours` reads of the past
# 16 bytes each, and as much again while they are sorted; those that wait, 48 more at most.
MOST_REQUESTS = 200_000_000

_MINUTE = 60.0
_ALIGNED = 1e-6  # of a step, by which a time may be beside the edge of one
_ARRIVALS, _HISTORY = 0, 1  # the streams of a seed


@dataclass(frozen=True)
class Load:
    """What is replayed, in requests/s: `rates` for each step, the first ones of them warm-up.

    `history` is by minute, the oldest first, and ends where the warm-up begins.
    """

    rates: Floats
    step_seconds: float
    warm_up_seconds: float
    history: Floats

    @property
    def duration_seconds(self) -> float:
        """Without the warm-up."""
        return len(self.rates) * self.step_seconds - self.warm_up_seconds

    @property
    def first_minute(self) -> float:
        """Requests/s in the first minute of the warm-up, or of the part where there is none."""
        return float(self.rates[: max(1, round(_MINUTE / self.step_seconds))].mean())


def plan_load(
    trace: Trace,
    offset_seconds: float = 0.0,
    duration_seconds: float | None = None,
    multiply: float = 1.0,
) -> Load:
    """The part of a trace from `offset_seconds` on; no duration is all that is left.

    Raises:
        TraceError: the trace has no such part, or the part has no requests, or it or what lies
            before it has too many.
    """
    step = trace.step_seconds
    first = _whole_steps("--offset", offset_seconds, step)
    steps = len(trace.requests) - first
    if steps <= 0:
        raise TraceError(
            f"it has {trace.duration_seconds:g} s and --offset is {offset_seconds:g} s: give less"
        )
    if duration_seconds is not None:
        wanted = _whole_steps("--duration", duration_seconds, step)
        if wanted > steps:
            raise TraceError(
                f"{steps * step:g} s follow --offset, and --duration is {duration_seconds:g} s:"
                " give less of either"
            )
        steps = wanted
    if not trace.requests[first : first + steps].any():
        raise TraceError("this part of it has no requests: choose another --offset or --duration")
    warm_up = min(first, math.ceil(WARM_UP_SECONDS / step))
    begins = first - warm_up
    oldest = max(0, begins - math.ceil(HISTORY_SECONDS / step))
    _check_steps(trace, oldest, first + steps, multiply)
    _check_memory(trace.requests[begins : first + steps], multiply)
    rates = trace.requests[begins : first + steps] * (multiply / step)
    history = _by_minute(trace.requests[oldest:begins], step) * multiply
    return Load(rates, step, warm_up * step, history)


def draw(load: Load, seed: int) -> tuple[Requests, Floats]:
    """The requests of one seed, and the requests/s of the minutes before the first of them.

    Raises:
        TraceError: the seed drew none in the part that is counted.
    """
    arrivals = np.random.default_rng([seed, _ARRIVALS])
    requests = requests_at(load.rates, load.step_seconds, -load.warm_up_seconds, arrivals)
    if not len(requests.times) or requests.times[-1] < 0:
        raise TraceError(
            f"seed {seed} draws no request from so little traffic: give a longer --duration, or"
            " --multiply"
        )
    history = np.random.default_rng([seed, _HISTORY]).poisson(load.history * _MINUTE) / _MINUTE
    # The replay begins with the first request: minutes before it were silent.
    silent = int((requests.begins + load.warm_up_seconds) / _MINUTE)
    return requests, np.concatenate([history, np.zeros(silent)])


def initial_replicas(load: Load, manifest: Manifest) -> int:
    """What the first minute needs, by the manifest's capacity and within its bounds."""
    needed = math.ceil(load.first_minute / replica.requests_per_second(manifest))
    return min(max(needed, manifest.min_replicas), manifest.max_replicas)


def _whole_steps(option: str, seconds: float, step: float) -> int:
    steps = round(seconds / step)
    if abs(seconds - steps * step) > _ALIGNED * step:
        raise TraceError(
            f"its steps are {step:g} s, and {option} is {seconds:g} s: give a multiple of the step"
        )
    return steps


def _check_steps(trace: Trace, first: int, end: int, multiply: float) -> None:
    """That each step can be drawn, in what is read of the past as well."""
    most = MOST_REQUESTS * trace.step_seconds / (_MINUTE * multiply)
    busy = np.flatnonzero(trace.requests[first:end] > most)
    if len(busy):
        place = first + int(busy[0])
        raise TraceError(
            f"{float(trace.requests[place]) * multiply:.3g} requests come in its step at"
            f" {place * trace.step_seconds:.12g} s: at most {MOST_REQUESTS:,} a minute; correct the"
            " trace, or give a smaller --multiply"
        )


def _check_memory(requests: Floats, multiply: float) -> None:
    """`requests` are those of the warm-up and of the part."""
    total = float(requests.sum()) * multiply
    if total > MOST_REQUESTS:
        raise TraceError(
            f"{total:.3g} requests, with the warm-up, are more than a replay has memory for: at"
            f" most {MOST_REQUESTS:,}; give a shorter --duration, or a smaller --multiply"
        )


def _by_minute(requests: Floats, step_seconds: float) -> Floats:
    """Requests/s in the whole minutes before the end, at most those of HISTORY_SECONDS."""
    seconds = len(requests) * step_seconds
    minutes = int(min(seconds, HISTORY_SECONDS) / _MINUTE + _ALIGNED)
    edges = seconds - _MINUTE * np.arange(minutes, -1, -1)
    known = np.concatenate([[0.0], np.cumsum(requests)])
    sums = np.interp(edges, step_seconds * np.arange(len(known)), known)
    rates: Floats = np.diff(sums) / _MINUTE
    return rates
