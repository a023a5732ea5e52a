"""What of a pod's scrapes lies in a window, and quantiles of counted latencies; compiled by numba.

dlagent.replay.scraped calls both, at each tick of each policy.
"""

import math
from typing import NamedTuple

import numpy as np

from dlagent.replay.kernel import Floats, Ints, compiled


class Scrapes(NamedTuple):
    """By slot and column, a ring of the newest scrapes; `times` is NaN where there is none."""

    times: Floats
    answered: Floats
    in_flight: Floats
    busy: Floats
    latencies: Ints  # [slot, column, class]


class Window(NamedTuple):
    """By row, NaN where the window has no two scrapes or one is NaN; `latencies` of all rows."""

    requests_per_second: Floats
    busy_share: Floats
    concurrency: Floats  # at the newest scrape in the window
    latencies: Ints  # [class]: answered between the first scrape and the last


@compiled
def fill(window: Window, scrapes: Scrapes, slots: Ints, after: float) -> None:
    """The scrapes of these slots that are newer than `after`."""
    for row in range(len(slots)):
        slot = slots[row]
        first = last = -1
        for column in range(scrapes.times.shape[1]):
            at = scrapes.times[slot, column]
            if at > after:  # never so for NaN
                if first < 0 or at < scrapes.times[slot, first]:
                    first = column
                if last < 0 or at > scrapes.times[slot, last]:
                    last = column
        if last < 0:
            continue
        window.concurrency[row] = scrapes.in_flight[slot, last]
        answered = scrapes.answered[slot, last] - scrapes.answered[slot, first]
        if first == last or math.isnan(answered):
            continue
        seconds = scrapes.times[slot, last] - scrapes.times[slot, first]
        window.requests_per_second[row] = answered / seconds
        window.busy_share[row] = (scrapes.busy[slot, last] - scrapes.busy[slot, first]) / seconds
        for each in range(len(window.latencies)):
            window.latencies[each] += (
                scrapes.latencies[slot, last, each] - scrapes.latencies[slot, first, each]
            )


@compiled
def within(counts: Ints, edges: Floats, shares: Floats, found: Floats) -> None:
    """Into `found`, the latency within which each of the rising shares is; NaN for no counts."""
    total = counts.sum()
    place, below = 0, 0
    for number in range(len(shares)):
        if total == 0:
            found[number] = np.nan
            continue
        wanted = shares[number] * total
        while below + counts[place] < wanted:
            below += counts[place]
            place += 1
        lower = edges[place - 1] if place > 0 else 0.0
        part = (wanted - below) / max(1, counts[place])
        found[number] = lower + (edges[place] - lower) * part
