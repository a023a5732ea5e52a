"""What a decision about the number of replicas is made of: settings, state, outcome.

Times are Unix seconds, rates requests/s. dlagent.domain.scaling.decision has the function.
"""

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from dlagent.domain.scaling.budget import Budget
from dlagent.domain.scaling.foresight import Foresight
from dlagent.domain.scaling.history import History
from dlagent.domain.scaling.service_time import ServiceTime

Numbers = tuple[tuple[float, int], ...]

LOWERING_PAUSE_SECONDS = 60.0  # after some replicas were taken away


class Reason(StrEnum):
    """Why the number is what it is."""

    INITIAL = "Initial"
    LOAD = "Load"
    FORECAST = "Forecast"
    BACKLOG = "Backlog"
    HOLDING = "Holding"
    NO_TRAFFIC = "NoTraffic"
    NO_DATA = "NoData"
    BOUNDS = "Bounds"


class Limit(Enum):
    """What keeps the number from being the one that is needed."""

    AT_MAXIMUM = "maxReplicas is lower"
    AT_MINIMUM = "minReplicas is higher"
    INFEASIBLE = "no number of replicas keeps the promise"
    UNSCHEDULABLE = "no node takes the pods"


@dataclass(frozen=True, slots=True)
class ScalingSettings:
    """What does not change from tick to tick.

    `service` is how long a batch takes, None where it is not known. `hold_seconds` is how long
    fewer must have been enough, `pod_start_seconds` how long a pod takes to be ready.
    `phase_seconds`, which differs from agent to agent, is when within half an hour one learns anew.
    """

    service: ServiceTime | None
    threshold_seconds: float
    objective: float
    min_replicas: int
    max_replicas: int
    tick_seconds: float
    hold_seconds: float
    pod_start_seconds: float
    phase_seconds: float = 0.0

    @property
    def window_seconds(self) -> float:
        """For how long fewer replicas must have been enough, at least."""
        return max(self.hold_seconds, 3 * self.pod_start_seconds)

    @property
    def lead_seconds(self) -> float:
        """Until what is decided now answers: decisions are a tick apart."""
        return self.pod_start_seconds + self.tick_seconds


@dataclass(frozen=True, slots=True)
class ScalingState:
    """What one tick hands to the next.

    Numbers hold times, rising, and numbers, falling: the first is the highest of the hold time.
    `enough` is of what must remain when some are taken away, `needed` of the need. `history` and
    `budget` are read back from Prometheus when the operator starts. `inferences_per_request` is as
    the last look had it, None before the first.
    """

    since: float | None = None  # since when there has been a decision on data at every tick
    last: float | None = None
    lowered_at: float | None = None
    regretted_at: float | None = None  # when more were needed soon after some were taken away
    enough: Numbers = ()
    needed: Numbers = ()
    history: History = field(default_factory=History)
    budget: Budget = field(default_factory=Budget)
    foresight: Foresight | None = None
    inferences_per_request: float | None = None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a decision expects of the next `seconds`.

    `rate` is the mean, `peak` what one minute of them exceeds one time in twenty, in requests/s.
    `missed` requests are expected to with the number decided, `missed_with_one_less` with one
    less (none at all miss all); `price` is what each is worth, in replica-seconds.
    """

    seconds: float
    rate: float
    peak: float
    missed: float
    missed_with_one_less: float
    price: float


@dataclass(frozen=True, slots=True)
class Decision:
    """`desired` replicas and what they rest on.

    `capacity`: requests/s that one replica answers within the promise (where none can, what it
    answers at all); None where not known. `needed`: what would be enough without bounds, the
    highest of the hold time (at least so many, while no node takes a pod); None without data.
    `blind`: why there is no data; None where there is. `foreseen`: None without a history.
    """

    desired: int
    reason: Reason
    message: str
    capacity: float | None = None
    needed: int | None = None
    limit: Limit | None = None
    blind: str | None = None
    foreseen: Foreseen | None = None
