"""What commands say about traffic: durations, rates, shapes and traces, as words and as values."""

import resource
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import typer

from dlagent.cli.errors import CliError
from dlagent.domain.traffic import durations, shapes
from dlagent.domain.traffic.schedule import RateCurve
from dlagent.domain.traffic.shapes import RateRange
from dlagent.domain.traffic.trace import Trace, TraceError, read_csv, read_prometheus

_DEFAULT_SECONDS = 60.0
_WRONG_COMMAND = 2  # the exit code
_MOST_PER_SECOND = 50_000
_LARGEST_TRACE_BYTES = 256_000_000  # some 20 million single requests: half a minute to read
_OTHER_FILES = 64  # that the process has open beside its connections


class Shape(StrEnum):
    """How the rate changes over time."""

    CONSTANT = "constant"
    RAMP = "ramp"
    STEPS = "steps"
    TRACE = "trace"


@dataclass(frozen=True)
class Part:
    """A part of a trace, counted from its beginning."""

    first_seconds: float
    last_seconds: float


@dataclass(frozen=True)
class Load:
    """What was asked for; a field that was not given is None."""

    shape: Shape | None
    rates: RateRange | None
    duration_seconds: float | None
    trace: Path | None
    part: Part | None
    multiply: float | None

    @property
    def kind(self) -> Shape:
        """The shape, by default the one that fits the rate: constant for one, a ramp for two."""
        if self.shape is not None:
            return self.shape
        one = self.rates is None or self.rates.low == self.rates.high
        return Shape.CONSTANT if one else Shape.RAMP


def parse_duration(text: str) -> float:
    """Seconds, more than none, from `500ms`, `90s`, `1.5h` or `1h30m`."""
    try:
        seconds = durations.parse_duration(text.strip())
    except durations.DurationError:
        seconds = 0.0
    if not seconds:
        raise typer.BadParameter(f"{text!r} is no time: give it as 500ms, 90s, 5m, 1h or 2d")
    return seconds


def parse_rate(text: str) -> RateRange:
    """Requests per second, from `40` or `5..60`."""
    low, dots, high = text.partition("..")
    try:
        rates = RateRange(float(low), float(high if dots else low))
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no rate: give requests per second as 40, or a range as 5..60"
        ) from error
    if rates.high > _MOST_PER_SECOND:
        raise typer.BadParameter(
            f"{text!r} is more than one process sends: at most {_MOST_PER_SECOND:,} a second"
        )
    return rates


def allow_connections(count: int) -> None:
    """Raise this process's limit of open files so that there may be so many connections.

    Raises:
        CliError: the limit that the machine sets is lower.
    """
    needed = count + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (resource.RLIM_INFINITY,) and needed > hard:
        raise CliError(
            f"--connections {count}: this machine allows a process {hard} open files; give"
            f" {hard - _OTHER_FILES} or fewer, or raise the limit (ulimit -n)",
            _WRONG_COMMAND,
        )
    if needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def parse_part(text: str) -> Part:
    """From `8d..9d`."""
    first, dots, last = text.partition("..")
    if not dots:
        raise typer.BadParameter(f"{text!r} is no part: give where it begins and ends, as 8d..9d")
    return Part(0.0 if first == "0" else parse_duration(first), parse_duration(last))


def read_trace(file: Path) -> Trace:
    """A CSV of minutes or of single requests, or, where it ends in .json, a Prometheus answer.

    Raises:
        CliError: the file cannot be read, or is no trace that can be used.
    """
    try:
        size_bytes = file.stat().st_size
        if size_bytes > _LARGEST_TRACE_BYTES:
            raise CliError(
                f"{file.name} has {size_bytes / 1e6:,.0f} MB, and a trace at most"
                f" {_LARGEST_TRACE_BYTES / 1e6:,.0f} MB: count its requests by minute, in a CSV"
                " with the columns minute,requests"
            )
        with file.open(encoding="utf-8-sig") as text:
            json = file.suffix.lower() == ".json"
            return read_prometheus(text.read()) if json else read_csv(text)
    except TraceError as error:
        raise CliError(f"{file.name}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} cannot be read: {error}") from error


def rate_curve(load: Load) -> RateCurve:
    """The rate over time that was asked for.

    Raises:
        CliError: the options do not fit each other, or the trace cannot be used.
    """
    if load.kind is Shape.TRACE:
        return _traced(load)
    if load.trace or load.part or load.multiply is not None:
        raise CliError("a trace FILE, --part and --multiply go with --shape trace", _WRONG_COMMAND)
    if load.rates is None:
        raise CliError(
            "how many requests a second? Give --rate 40, or a range as --rate 5..60", _WRONG_COMMAND
        )
    seconds = load.duration_seconds or _DEFAULT_SECONDS
    varies = load.rates.low < load.rates.high
    if varies == (load.kind is Shape.CONSTANT):
        example = "one rate: --rate 40" if varies else "a range: --rate 5..60"
        raise CliError(f"--shape {load.kind} takes {example}", _WRONG_COMMAND)
    if load.kind is Shape.CONSTANT:
        return shapes.constant(load.rates.high, seconds)
    return {Shape.RAMP: shapes.ramp, Shape.STEPS: shapes.steps}[load.kind](load.rates, seconds)


def _traced(load: Load) -> RateCurve:
    if load.trace is None:
        raise CliError("which trace? Give its file: --shape trace FILE", _WRONG_COMMAND)
    if load.rates and load.multiply is not None:
        raise CliError(
            "--rate scales a trace to a range, --multiply by a factor: give one of them",
            _WRONG_COMMAND,
        )
    trace = read_trace(load.trace)
    try:
        chosen = trace.part(load.part.first_seconds, load.part.last_seconds) if load.part else trace
        seconds = load.duration_seconds or chosen.duration_seconds
        factor = 1.0 if load.multiply is None else load.multiply
        curve = shapes.from_trace(chosen, seconds, load.rates, factor)
    except ValueError as error:
        raise CliError(f"{load.trace.name}: {error}") from error
    if curve.requests == 0:
        raise CliError(f"{load.trace.name}: this part of it has no requests: choose another one")
    return curve
