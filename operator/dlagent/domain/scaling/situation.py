"""What is known of an agent's scaling at a moment, as plain values: what an explanation is made of.

The operator makes one of its last tick (dlagent.reconcile.explain); `dlagent explain --at` makes
one of what Prometheus has recorded, which is less. Then dlagent.domain.scaling.explanation puts it
into words. It travels as JSON. Times are Unix seconds, rates requests/s; None is not known.
"""

from dataclasses import dataclass, field

from pydantic import TypeAdapter

from dlagent.domain.scaling.model import Foreseen
from dlagent.domain.scaling.turning import Turning


@dataclass(frozen=True, slots=True)
class Load:
    """What was seen. `arrivals` is None where nothing is known of it, and `why` may say why.

    `pods` counts those of the revision that serves by the names of `Supply`, in small letters.
    `silent` are pods that answer and of which there is no fresh sample, `skewed` is one that has
    far more to do than the others.
    """

    arrivals: float | None
    why: str | None = None
    waiting: float | None = None
    rows_per_request: float | None = None
    p99_seconds: float | None = None
    pods: dict[str, int] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    skewed: str | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """What one replica can do.

    `capacity` is within the promise (or at best effort where that is not `feasible`), `saturation`
    at all. `first_seconds` and `full_seconds` are for a batch of 1 and of `max_batch`; they are
    `learned` from its pods, or as the build measured them. `starts` is how many starts of pods
    `start_seconds` rests on, beside the setting.
    """

    capacity: float | None = None
    feasible: bool | None = None
    saturation: float | None = None
    first_seconds: float | None = None
    full_seconds: float | None = None
    max_batch: int | None = None
    learned: bool | None = None
    start_seconds: float | None = None
    starts: int | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision, and the bounds that held; `scheduled` is the event that raised the lower one.

    `reason` and `limit` are of dlagent.domain.scaling.model; `hold_seconds` is for how long fewer
    must have been enough.
    """

    desired: int
    reason: str | None = None
    message: str | None = None
    needed: int | None = None
    limit: str | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    scheduled: str | None = None
    hold_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """Of one agent. `decided` is None where nobody has decided: `mode` and `paused` say who would.

    `objective` is from 0 to 1. `turning` is known of the present only.
    """

    at: float
    objective: float
    threshold_seconds: float
    load: Load
    replica: Replica
    mode: str | None = None
    paused: bool = False
    foreseen: Foreseen | None = None
    decided: Decided | None = None
    turning: Turning | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What the `hours` before cost, and how fast the error budget was spent meanwhile.

    Seconds are summed over replicas, and over accelerators by their resource. A burn rate of 1
    spends the budget in exactly its window.
    """

    hours: float
    replica_seconds: float | None = None
    accelerator_seconds: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)  # by currency
    requests: float | None = None
    burn_hour: float | None = None
    burn_day: float | None = None


_AS_JSON: TypeAdapter[Situation] = TypeAdapter(Situation)


def to_json(situation: Situation) -> bytes:
    """As the operator hands it out."""
    return _AS_JSON.dump_json(situation)


def from_json(content: bytes) -> Situation:
    """What `to_json` made.

    Raises:
        ValueError: it is something else.
    """
    return _AS_JSON.validate_json(content)
