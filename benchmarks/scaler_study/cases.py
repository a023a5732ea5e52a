"""The cases of the benchmark `scaler`: which traffic, on which replicas, under which promise.

All start at one centre, and differ from it in one thing; of generated traffic the variations have
fewer hours, and so another draw of it. `benchmarks.scaler` runs them, each seed of a case in a
process.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from benchmarks.scaler_study.traffic import rates
from dlagent.domain.scaling.service_time import ServiceTime
from dlagent.domain.traffic.trace import Trace, read_csv
from dlagent.replay.baselines import replica
from dlagent.replay.compare import Setup
from dlagent.replay.policies import parse_policies
from dlagent.replay.policy import Manifest
from dlagent.replay.requests import Load, plan_load

THRESHOLD_SECONDS = 0.5
MAX_BATCH, FULL_BATCH_SECONDS = 8, 0.2  # the same saturation, 40 requests/s, for each ratio
MAX_REPLICAS = 200
HISTORY_MINUTES = 8 * 1440  # before it; what is replayed begins on the same day as in files
FIRST_MINUTE = HISTORY_MINUTES + 6 * 60  # of generated traffic: six in the morning of day 8

# Beyond the swept targets, so that the frontier reaches down to what is attained by less.
CHEAPER = ",".join(f"hpa-rps:target={share},stabilization=60" for share in (1.15, 1.3, 1.5))
SHORT_SWEEP = f"hpa-rps,{CHEAPER}"
# KEDA is an HPA with another reading of pods that start, so a part of its sweep tells them apart.
KEDA = ",".join(
    f"keda-rps:target={share},stabilization={seconds}"
    for share in (0.6, 0.7, 0.8, 0.9)
    for seconds in (60, 300)
)
LONG_SWEEP = f"{SHORT_SWEEP},{KEDA}"
EVERY_SWEEP = f"{SHORT_SWEEP},keda-rps,hpa-busy,hpa-latency,kpa,ray,fixed"


class Kind(StrEnum):
    """What a goal is set for."""

    PREDICTABLE = "predictable"
    BURSTY = "bursty"
    OTHER = "other"


@dataclass(frozen=True)
class Source:
    """Traffic: generated, or a part of a file of the traces' folder; `hours` are used at most."""

    name: str
    kind: Kind
    hours: float
    file: str = ""
    first_minute: int = FIRST_MINUTE

    def trace(self, folder: Path, seed: int) -> Trace:
        """Generated traffic differs from seed to seed; in a file only arrivals in a step do."""
        if self.file:
            return _read(folder / self.file)
        minutes = self.first_minute + round(60 * self.hours)
        return Trace(60.0, 60 * rates(self.name, 1.0, minutes, seed))


DAY_8 = 11_520  # looked at while the decision was built; other days are kept to judge
SOURCES = (
    Source("azure-diurnal", Kind.PREDICTABLE, 24, "azure_func_diurnal_1min.csv", DAY_8),
    Source("azure-spiky", Kind.BURSTY, 24, "azure_func_spiky_1min.csv", DAY_8),
    Source("azure-llm", Kind.BURSTY, 0.95, "azure_llm_2023_code_ts.csv", 0),
    Source("steady", Kind.PREDICTABLE, 4),
    Source("diurnal", Kind.PREDICTABLE, 12),
    Source("ramps", Kind.OTHER, 4),
    Source("steps", Kind.OTHER, 4),
    # Longer: what it costs to be ready for what comes a few times a day is luck in a few hours.
    Source("bursts", Kind.BURSTY, 12),
    Source("on-off", Kind.BURSTY, 12),
    Source("sessions", Kind.BURSTY, 12),
)


@dataclass(frozen=True)
class Case:
    """One row of the table; `ratio` is tau0/alpha, `policies` are what ours is compared with."""

    source: Source
    policies: str
    mean_replicas: float = 2.0
    pod_start_seconds: float = 60.0
    scrape_seconds: float = 15.0
    objective_percent: float = 99.0
    ratio: float = 2.0
    most_replica_hours: float = 60.0

    @property
    def name(self) -> str:
        """The source, and in what the case differs from the centre."""
        own = {
            "mean": (self.mean_replicas, Case.mean_replicas),
            "start": (self.pod_start_seconds, Case.pod_start_seconds),
            "scrape": (self.scrape_seconds, Case.scrape_seconds),
            "objective": (self.objective_percent, Case.objective_percent),
            "tau0/alpha": (self.ratio, Case.ratio),
        }
        differs = [f"{name} {value:g}" for name, (value, centre) in own.items() if value != centre]
        return ", ".join([self.source.name, *differs])

    @property
    def minutes(self) -> int:
        """How long it is: what the source has, or less where there are many replicas."""
        return int(60 * min(self.source.hours, self.most_replica_hours / self.mean_replicas))

    @property
    def manifest(self) -> Manifest:
        """As all policies are told it."""
        return Manifest(
            service=service_of(self.ratio),
            threshold_seconds=THRESHOLD_SECONDS,
            objective=self.objective_percent / 100,
            min_replicas=1,
            max_replicas=MAX_REPLICAS,
            pod_start_seconds=self.pod_start_seconds,
            scrape_seconds=self.scrape_seconds,
        )

    def load(self, folder: Path, seed: int, first_minute: int = 0, minutes: int = 0) -> Load:
        """The part that is replayed, of `mean_replicas` times a replica's capacity on average.

        `minutes`, and `first_minute` of the case, are for a part of it at the same rates.
        """
        trace = self.source.trace(folder, seed)
        begins = 60.0 * self.source.first_minute
        part = trace.part(begins, begins + 60.0 * self.minutes)
        mean = float(part.requests.sum()) / part.duration_seconds
        multiply = self.mean_replicas * replica.requests_per_second(self.manifest) / mean
        return plan_load(
            trace, begins + 60.0 * first_minute, 60.0 * (minutes or self.minutes), multiply
        )

    def setup(self, folder: Path, seed: int) -> Setup:
        """What one seed compares."""
        manifest = self.manifest
        choices = parse_policies(f"ours,{self.policies},oracle", manifest)
        return Setup(self.load(folder, seed), manifest, "random", (), choices, (seed,))


def service_of(ratio: float) -> ServiceTime:
    """Batch times with that tau0/alpha."""
    per_item = FULL_BATCH_SECONDS / (ratio + MAX_BATCH)
    return ServiceTime(ratio * per_item, per_item, MAX_BATCH)


def quick_cases() -> list[Case]:
    """One case of an hour, against a few settings, to see that all works."""
    few = ",".join(f"hpa-rps:target={share}" for share in (0.5, 0.7, 0.9, 1.0, 1.3))
    bursts = next(each for each in SOURCES if each.name == "bursts")
    return [Case(replace(bursts, hours=1), few)]


def default_cases(sources: tuple[Source, ...]) -> list[Case]:
    """The centre on each source, and what differs from it on two."""
    centres = [Case(source, LONG_SWEEP) for source in sources]
    two = [source for source in sources if source.name in ("azure-llm", "bursts")]
    bases = [Case(replace(each, hours=min(6, each.hours)), SHORT_SWEEP) for each in two]
    return centres + [
        varied
        for base in bases
        for varied in (
            replace(base, mean_replicas=10.0),
            replace(base, pod_start_seconds=120.0),
            replace(base, scrape_seconds=5.0),
            replace(base, objective_percent=95.0),
            replace(base, objective_percent=99.9),
            replace(base, ratio=0.25),
            replace(base, ratio=20.0),
        )
    ]


def all_cases(sources: tuple[Source, ...]) -> list[Case]:
    """Every value of each thing on each source, the others being at the centre."""
    return [
        case
        for source in sources
        for centre in [Case(source, EVERY_SWEEP, most_replica_hours=240.0)]
        for case in (
            centre,
            *(replace(centre, mean_replicas=value) for value in (10.0, 50.0)),
            *(replace(centre, pod_start_seconds=value) for value in (30.0, 120.0)),
            replace(centre, scrape_seconds=5.0),
            *(replace(centre, objective_percent=value) for value in (95.0, 99.9)),
            *(replace(centre, ratio=value) for value in (0.25, 20.0)),
        )
    ]


@lru_cache(maxsize=4)
def _read(path: Path) -> Trace:
    with path.open() as lines:
        return read_csv(lines)
