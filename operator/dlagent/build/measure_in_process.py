"""The time of a batch by its size in this process, on one thread with the backend's options.

dlagent.build.measure falls back on it. For a simulated accelerator each batch is then run again and
held, as the serving backend holds it.
"""

import statistics
import time

from dlagent.build.failure import BuildError
from dlagent.build.network import sample
from dlagent.build.runtime import Answering, Array, RunError
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.request import Simulated
from dlagent.domain.artifact.summary import FailureReason

BATCHES = (1, 2, 4, 8, 16, 32)
BUDGET_SECONDS = 2.0
_WARM_UP = 2
_MOST_REPEATS = 30
_FEWEST_REPEATS = 3
_HELD_REPEATS = 3  # batches of 1 to 32 that last 40 ms + 20 ms a row are held for 4.5 s in all


def measure_in_process(
    session: Answering,
    interface: ModelInterface,
    free_size: int,
    simulated: Simulated | None = None,
) -> list[TauPoint]:
    """Medians, smallest batch first. A slow model has fewer points, but always the first.

    Raises:
        BuildError: InvalidModel, where the model does not take a batch.
    """
    points = _computed(session, interface, free_size)
    if simulated is None:
        return points
    return [_held(session, interface, free_size, simulated, point.batch) for point in points]


def _computed(session: Answering, interface: ModelInterface, free_size: int) -> list[TauPoint]:
    started = time.monotonic()
    points: list[TauPoint] = []
    share = BUDGET_SECONDS / len(BATCHES)
    for batch in BATCHES if interface.batched else (None,):
        spent = time.monotonic() - started
        if points and spent + _cost(points[-1]) > BUDGET_SECONDS:
            break
        feed = sample(interface.inputs, "measure", batch, free_size)
        milliseconds = _median(session, feed, share)
        points.append(TauPoint(batch=batch or 1, milliseconds=milliseconds))
    return points


def _cost(last: TauPoint) -> float:
    """Seconds that the next, doubled batch takes at least."""
    return (_WARM_UP + _FEWEST_REPEATS) * 2 * last.milliseconds / 1000


def _held(
    session: Answering,
    interface: ModelInterface,
    free_size: int,
    simulated: Simulated,
    batch: int,
) -> TauPoint:
    feed = sample(interface.inputs, "measure", batch if interface.batched else None, free_size)
    times: list[float] = []
    for _ in range(_HELD_REPEATS):
        began = time.perf_counter()
        _run(session, feed)
        end = began + simulated.milliseconds(batch) / 1000
        time.sleep(max(0.0, end - time.perf_counter()))
        times.append((time.perf_counter() - began) * 1000)
    return TauPoint(batch=batch, milliseconds=_rounded_median(times))


def _median(session: Answering, feed: dict[str, Array], budget_seconds: float) -> float:
    times: list[float] = []
    end = time.monotonic() + budget_seconds
    for repeat in range(_WARM_UP + _MOST_REPEATS):
        began = time.perf_counter()
        _run(session, feed)
        if repeat >= _WARM_UP:
            times.append((time.perf_counter() - began) * 1000)
        if len(times) >= _FEWEST_REPEATS and time.monotonic() > end:
            break
    return _rounded_median(times)


def _run(session: Answering, feed: dict[str, Array]) -> None:
    try:
        session.run(feed)
    except RunError as error:
        raise BuildError(
            FailureReason.INVALID_MODEL, f"the model does not take a batch: {error}"
        ) from error


def _rounded_median(times: list[float]) -> float:
    return float(f"{statistics.median(times):.4g}")
