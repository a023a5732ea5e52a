"""One replica and what is asked of it, and histories of its load: a day that repeats, noise."""

import numpy as np
from numpy.typing import NDArray

from dlagent.domain.scaling.capacity import capacity
from dlagent.domain.scaling.history import DAY_STEPS, STEP_SECONDS, History
from dlagent.domain.scaling.model import ScalingSettings
from dlagent.domain.scaling.service_time import ServiceTime

Floats = NDArray[np.float64]

SERVICE = ServiceTime(0.040, 0.020, 8)
ONE = capacity(SERVICE, 0.5, 0.99)  # requests/s of one replica
SETTINGS = ScalingSettings(
    service=SERVICE,
    threshold_seconds=0.5,
    objective=0.99,
    min_replicas=1,
    max_replicas=1000,
    tick_seconds=10,
    hold_seconds=120,
    pod_start_seconds=60,
)


def daily(steps: int, mean: float = 10.0, swing: float = 0.8) -> Floats:
    """Requests/s by minute, highest a quarter of a day after each midnight."""
    return mean * (1 + swing * np.sin(2 * np.pi * np.arange(steps) / DAY_STEPS))


def counted(rates: Floats, seed: int = 0) -> Floats:
    """As Poisson arrivals of such a rate are counted in each minute."""
    arrivals = np.random.default_rng(seed).poisson(rates * STEP_SECONDS)
    found: Floats = arrivals / STEP_SECONDS
    return found


def history(rates: Floats) -> History:
    """From time 0 on."""
    return History(rates.astype(np.float32), len(rates) * STEP_SECONDS)
