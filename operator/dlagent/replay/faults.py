"""What can go wrong with the metrics in a replay: `metrics-gap@6h+600s`, as `--fault` takes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dlagent.domain.traffic.durations import parse_duration


class FaultKind(StrEnum):
    GAP = "metrics-gap"
    """Nothing is scraped."""
    NAN = "metrics-nan"
    """Every value that is scraped is NaN."""


class FaultError(ValueError):
    """A fault that there is not; the message says what there is."""


@dataclass(frozen=True)
class Fault:
    """From `begins` until before `ends`, in seconds since the replay began."""

    kind: FaultKind
    begins: float
    ends: float


def fault_at(faults: Sequence[Fault], now: float) -> FaultKind | None:
    """What is wrong at a time; where nothing is scraped, nothing can be NaN."""
    kinds = {fault.kind for fault in faults if fault.begins <= now < fault.ends}
    return min(kinds, default=None)


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Faults by commas; `none` is none. Raises FaultError."""
    if text == "none":
        return ()
    return tuple(_parse(part) for part in text.split(","))


def _parse(text: str) -> Fault:
    kind, _, when = text.partition("@")
    begins, _, length = when.partition("+")
    try:
        first, seconds = parse_duration(begins), parse_duration(length)
        if seconds == 0:
            raise ValueError("it has no length")
        return Fault(FaultKind(kind), first, first + seconds)
    except ValueError as error:
        raise FaultError(
            f"{text!r} is no fault: give none, metrics-gap@6h+600s (begins after 6 h, for 600 s) or"
            " metrics-nan@6h+600s"
        ) from error
