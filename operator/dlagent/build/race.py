"""Times of several networks, taken in turns: on one thread, or on an accelerator."""

import math
import time
from collections.abc import Mapping, Sequence

import numpy as np

from dlagent.build.machines import Runner
from dlagent.build.runtime import Array, RunError
from dlagent.domain.search.timing import Rounds

BATCHES = (1, 8, 32)
FEWEST_ROUNDS = 3
_WARM_UP = 2
# A run that is shorter than this is repeated within its turn: the clock and the call would be a
# part of what is measured.
_SHORTEST_TURN_SECONDS = 0.002

Feed = Mapping[str, Array]


class RunnerError(RunError):
    """A network did not run; `name` is which of those that took turns."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def race(
    sessions: Mapping[str, Runner], feeds: Sequence[Feed], rounds: int, budget_seconds: float
) -> dict[str, Rounds]:
    """Milliseconds of each network, [rounds, feeds]; all have seen the same rounds.

    Ends after `budget_seconds`, but never before FEWEST_ROUNDS.

    Raises:
        RunnerError: a network does not take a feed.
    """
    repeats = [_repeats(sessions, feed) for feed in feeds]
    taken: dict[str, list[list[float]]] = {name: [] for name in sessions}
    end = time.monotonic() + budget_seconds
    for done in range(rounds):
        if done >= FEWEST_ROUNDS and time.monotonic() > end:
            break
        for name, session in sessions.items():
            turns = zip(feeds, repeats, strict=True)
            taken[name].append([_turn(name, session, feed, runs) for feed, runs in turns])
    return {name: np.asarray(values, np.float64) for name, values in taken.items()}


def affordable_feeds(
    session: Runner, feeds: Sequence[Feed], budget_seconds: float
) -> Sequence[Feed]:
    """The feeds, smallest first, that a network gets through in time and has room for.

    Raises:
        RunError: it does not take the first.
    """
    spent = 0.0
    for at, feed in enumerate(feeds):
        try:
            session.milliseconds(feed, 1)  # the first of a size may be much slower than others
            spent += session.milliseconds(feed, 1) / 1000 * FEWEST_ROUNDS
        except RunError:
            if at == 0:
                raise
            return feeds[:at]
        if spent > budget_seconds:
            return feeds[: max(at, 1)]
    return feeds


def _repeats(sessions: Mapping[str, Runner], feed: Feed) -> int:
    """So many runs a turn that even the fastest network's is long enough; warms all of them up."""
    seconds = []
    for name, session in sessions.items():
        for _ in range(_WARM_UP):
            milliseconds = _turn(name, session, feed, 1)
        seconds.append(milliseconds / 1000)
    return max(1, math.ceil(_SHORTEST_TURN_SECONDS / max(min(seconds), 1e-6)))


def _turn(name: str, session: Runner, feed: Feed, runs: int) -> float:
    try:
        return session.milliseconds(feed, runs)
    except RunError as error:
        raise RunnerError(name, str(error)) from error
