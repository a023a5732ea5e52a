"""What `dlagent replay` was asked for, from words to values; errors name the option."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dlagent.cli.errors import CliError
from dlagent.cli.traffic import read_trace
from dlagent.domain.scaling.capacity import attained_share
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.domain.traffic.durations import DurationError, parse_duration
from dlagent.domain.traffic.trace import TraceError
from dlagent.replay.compare import Setup
from dlagent.replay.faults import FaultError, parse_faults
from dlagent.replay.policies import PolicyError, parse_policies
from dlagent.replay.policy import Manifest
from dlagent.replay.requests import plan_load
from dlagent.replay.routing import RoutingError, parse_routing

T = TypeVar("T")

_WRONG_COMMAND = 2  # the exit code
_LARGEST_BATCH, _MOST_REPLICAS, _MOST_SEEDS = 1024, 10_000, 1000


@dataclass(frozen=True)
class Asked:
    """The options as they were written."""

    trace: Path
    slo: str
    objective_percent: float
    tau: str
    max_batch: int
    pod_start: str
    scrape: str
    policy: str
    least: int
    most: int
    multiply: float
    offset: str
    duration: str | None
    seeds: int
    routing: str
    fault: str


def read_setup(asked: Asked) -> Setup:
    """Checks the options, then reads the trace.

    Raises:
        CliError: an option is wrong (exit code 2), or the trace cannot be used (1).
    """
    manifest = _manifest(asked)
    try:
        choices = parse_policies(asked.policy, manifest)
    except PolicyError as error:
        raise CliError(str(error), _WRONG_COMMAND) from error
    _check("--seeds", 1 <= asked.seeds <= _MOST_SEEDS, f"1 to {_MOST_SEEDS}")
    _check("--multiply", 0 < asked.multiply < math.inf, "more than 0")
    faults = _parsed("--fault", asked.fault, parse_faults)
    _parsed("--routing", asked.routing, parse_routing)
    offset = _parsed("--offset", asked.offset, parse_duration)
    duration = None if asked.duration is None else _time("--duration", asked.duration)
    try:
        load = plan_load(read_trace(asked.trace), offset, duration, asked.multiply)
    except TraceError as error:
        raise CliError(f"{asked.trace.name}: {error}") from error
    for each in faults:
        within = f"within the replay, which takes {load.duration_seconds:g} s"
        _check("--fault", each.begins < load.duration_seconds, within)
    seeds = tuple(range(1, asked.seeds + 1))
    return Setup(load, manifest, asked.routing, faults, choices, seeds)


def _manifest(asked: Asked) -> Manifest:
    batch, least, most = asked.max_batch, asked.least, asked.most
    _check("--objective", 0 < asked.objective_percent < 100, "a percentage, such as 99 or 99.9")
    _check("--max-batch", 1 <= batch <= _LARGEST_BATCH, f"1 to {_LARGEST_BATCH}")
    _check("--min", 1 <= least <= _MOST_REPLICAS, f"1 to {_MOST_REPLICAS}")
    _check("--max", least <= most <= _MOST_REPLICAS, f"--min to {_MOST_REPLICAS}")
    service, threshold = _service(asked), _time("--slo", asked.slo)
    if attained_share(service, 0.0, threshold) == 0:
        lone = f"a request that is alone takes {1000 * service.lone_seconds:g} ms by --tau"
        text = f"--slo {asked.slo} is kept by no number of replicas: {lone}"
        raise CliError(text, _WRONG_COMMAND)
    return Manifest(
        service=service,
        threshold_seconds=threshold,
        objective=round(asked.objective_percent / 100, 12),  # 99.9 / 100 is above 0.999
        min_replicas=least,
        max_replicas=most,
        pod_start_seconds=_time("--pod-start", asked.pod_start),
        scrape_seconds=_time("--scrape", asked.scrape),
    )


def _service(asked: Asked) -> ServiceTime:
    base, comma, per_item = (part.strip() for part in asked.tau.partition(","))
    form = "what a batch takes and what each request in it adds, as 40ms,20ms"
    _check("--tau", bool(comma), form)
    seconds = [_parsed("--tau", part, parse_duration) for part in (base, per_item)]
    _check("--tau", sum(seconds) > 0, f"{form}, not both 0")
    return ServiceTime(seconds[0], seconds[1], asked.max_batch)


def _time(option: str, text: str) -> float:
    seconds = _parsed(option, text, parse_duration)
    _check(option, seconds > 0, "more than 0")
    return seconds


def _parsed(option: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except (DurationError, FaultError, RoutingError) as error:
        raise CliError(f"{option}: {error}", _WRONG_COMMAND) from error


def _check(option: str, right: bool, allowed: str) -> None:
    if not right:
        raise CliError(f"{option} must be {allowed}", _WRONG_COMMAND)
