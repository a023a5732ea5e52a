"""What `dlagent replay --policy` says: which policies are compared, with which parameters.

`ours,hpa-rps:target=0.7,stabilization=60,kpa,fixed:n=4,oracle`: the comma parts both policies and
the parameters of one, so an item that begins with a policy's name begins a policy, and one that is
NAME=VALUE belongs to the policy before it. A policy with a parameter has the defaults for its
others. One without is swept: each combination of the values below is a policy of its own.

The command line calls `parse_policies`; `PolicyChoice.make` gives each run a policy of its own,
because a policy remembers what it saw.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dlagent.replay.baselines import replica
from dlagent.replay.baselines.fixed import Fixed
from dlagent.replay.baselines.hpa import hpa_busy, hpa_latency, hpa_rps
from dlagent.replay.baselines.keda import keda_rps
from dlagent.replay.baselines.kpa import kpa
from dlagent.replay.baselines.ray import Ray
from dlagent.replay.policy import Manifest, Policy

SPECIAL = ("ours", "oracle")  # the operator's own, and hindsight: the replay makes these itself

_HOUR = 3600.0
_STEP = 2**0.5  # between the numbers of replicas that `fixed` is swept over


class PolicyError(ValueError):
    """What `--policy` says cannot be done; the message has the item, and what is allowed."""


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """One policy of a comparison.

    `kind` is what `--policy` calls it, and the same for all that one sweep makes; `name` is as in
    the results, with every parameter: `hpa-rps:target=0.7,stabilization=300`.
    """

    kind: str
    name: str
    values: tuple[float, ...] = ()

    @property
    def special(self) -> bool:
        """Whether it is `ours` or `oracle`, which `make` does not know."""
        return self.kind in SPECIAL

    def make(self, manifest: Manifest) -> Policy:
        """A policy that has seen nothing yet. ValueError for `ours` and `oracle`."""
        if self.special:
            raise ValueError(f"{self.kind} is not one of the baselines")
        return _BASELINES[self.kind].make(self.name, manifest, *self.values)


@dataclass(frozen=True, slots=True)
class _Parameter:
    """`least` to `most` is what may be given; `meaning` says in which unit."""

    name: str
    meaning: str
    limits: Callable[[Manifest], tuple[float, float]]
    default: Callable[[Manifest], float]
    swept: Callable[[Manifest], tuple[float, ...]]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class _Baseline:
    make: Callable[..., Policy]  # (name, manifest, *values), values in the order of parameters
    parameters: tuple[_Parameter, ...]

    def parameter(self, name: str) -> _Parameter | None:
        return next((known for known in self.parameters if known.name == name), None)


@dataclass(frozen=True, slots=True)
class _Written:
    """One policy as `--policy` has it; `item` says where, for messages."""

    kind: str
    item: str
    values: dict[str, float] = field(default_factory=dict)


def parse_policies(text: str, manifest: Manifest) -> tuple[PolicyChoice, ...]:
    """The policies in the order of the text, each once. Raises PolicyError.

    The manifest says what one replica can do, which the swept targets of `kpa` and `ray` follow
    from, and the bounds that `fixed` is swept between.
    """
    choices = (
        choice for written in _split(text, manifest) for choice in _choices(written, manifest)
    )
    return tuple(dict.fromkeys(choices))


def _split(text: str, manifest: Manifest) -> list[_Written]:
    policies: list[_Written] = []
    for number, item in enumerate(text.split(","), start=1):
        where = f"--policy, item {number} ({item.strip()!r})"
        head, colon, tail = (part.strip() for part in item.partition(":"))
        if head in _BASELINES or head in SPECIAL:
            policies.append(_Written(head, where))
            parameter = tail if colon else None
        elif "=" in head and policies:
            parameter = item
        else:
            raise PolicyError(f"{where}: a policy is one of {', '.join([*SPECIAL, *_BASELINES])}")
        if parameter is not None:
            _add(policies[-1], parameter, where, manifest)
    return policies


def _add(written: _Written, parameter: str, where: str, manifest: Manifest) -> None:
    """Enters NAME=VALUE into the policy that it belongs to."""
    if written.kind in SPECIAL:
        raise PolicyError(f"{where}: {written.kind} has no parameters")
    baseline = _BASELINES[written.kind]
    name, _, value = (part.strip() for part in parameter.partition("="))
    known = baseline.parameter(name)
    if known is None:
        allowed = "; ".join(f"{each.name}=, {each.meaning}" for each in baseline.parameters)
        raise PolicyError(f"{where}: the parameters of {written.kind} are: {allowed}")
    if name in written.values:
        raise PolicyError(f"{where}: {written.kind} has {name} already")
    written.values[name] = _number(known, value, where, manifest)


def _number(parameter: _Parameter, text: str, where: str, manifest: Manifest) -> float:
    least, most = parameter.limits(manifest)
    kind = "a whole number" if parameter.whole else "a number"
    allowed = f"{parameter.name} is {kind}, {_shown(least)} to {_shown(most)}: {parameter.meaning}"
    try:
        value = float(text)
    except ValueError:
        raise PolicyError(f"{where}: {allowed}") from None
    if not least <= value <= most or (parameter.whole and value != round(value)):
        raise PolicyError(f"{where}: {allowed}")
    return value


def _choices(written: _Written, manifest: Manifest) -> list[PolicyChoice]:
    if written.kind in SPECIAL:
        return [PolicyChoice(written.kind, written.kind)]
    parameters = _BASELINES[written.kind].parameters
    if written.values:
        given = [written.values.get(each.name, each.default(manifest)) for each in parameters]
        return [_choice(written.kind, parameters, tuple(given))]
    combinations = itertools.product(*(each.swept(manifest) for each in parameters))
    return [_choice(written.kind, parameters, values) for values in combinations]


def _choice(
    kind: str, parameters: tuple[_Parameter, ...], values: tuple[float, ...]
) -> PolicyChoice:
    whole = tuple(
        round(value) if parameter.whole else value
        for parameter, value in zip(parameters, values, strict=True)
    )
    pairs = zip(parameters, whole, strict=True)
    shown = ",".join(f"{parameter.name}={_shown(value)}" for parameter, value in pairs)
    return PolicyChoice(kind, f"{kind}:{shown}", whole)


def _shown(value: float) -> str:
    return f"{value:.12g}"


def _plain(
    name: str,
    meaning: str,
    limits: tuple[float, float],
    default: float,
    swept: tuple[float, ...],
) -> _Parameter:
    """A parameter that does not depend on the manifest."""
    return _Parameter(name, meaning, lambda _: limits, lambda _: default, lambda _: swept)


def _share_of_capacity(default: float) -> _Parameter:
    meaning = "share of the rate at which one replica keeps the promise"
    swept = (0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    return _plain("target", meaning, (0.01, 10.0), default, swept)


def _requests_at_a_time(default: Callable[[Manifest], float]) -> _Parameter:
    """Swept around what is in a replica at its capacity."""
    shares = (0.2, 0.3, 0.45, 0.6, 0.75, 0.9, 1.1)

    def swept(manifest: Manifest) -> tuple[float, ...]:
        return tuple(_at_a_time(manifest, share) for share in shares)

    meaning = "requests at a time in one replica"
    return _Parameter("target", meaning, lambda _: (0.01, 1e6), default, swept)


def _at_a_time(manifest: Manifest, share: float) -> float:
    """That share of a replica's concurrency at capacity, to two digits, for the name's sake."""
    return max(0.01, float(f"{share * replica.concurrency(manifest):.2g}"))


def _numbers_of_replicas(manifest: Manifest) -> tuple[float, ...]:
    """From the least to the most, each about 1.4 times the one before."""
    numbers = [manifest.min_replicas]
    while numbers[-1] < manifest.max_replicas:
        following = max(numbers[-1] + 1, round(numbers[-1] * _STEP))
        numbers.append(min(following, manifest.max_replicas))
    return tuple(numbers)


_STABILIZATION = _plain(
    "stabilization",
    "seconds whose highest recommendation counts on the way down",
    (0.0, _HOUR),
    300.0,
    (60.0, 300.0, 900.0),
)

_BASELINES: Mapping[str, _Baseline] = {
    "hpa-rps": _Baseline(hpa_rps, (_share_of_capacity(0.7), _STABILIZATION)),
    "hpa-busy": _Baseline(
        hpa_busy,
        (
            _plain(
                "target",
                "percent of the time that the accelerator is busy",
                (1.0, 100.0),
                70.0,
                (30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0),
            ),
            _STABILIZATION,
        ),
    ),
    "hpa-latency": _Baseline(
        hpa_latency,
        (
            _plain(
                "target",
                "share of the latency threshold for the p99",
                (0.01, 10.0),
                0.8,
                (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
            ),
            _STABILIZATION,
        ),
    ),
    "keda-rps": _Baseline(keda_rps, (_share_of_capacity(0.7), _STABILIZATION)),
    "kpa": _Baseline(
        kpa,
        (
            _requests_at_a_time(lambda manifest: _at_a_time(manifest, 0.7)),
            _plain(
                "delay",
                "seconds of scale-down-delay",
                (0.0, _HOUR),
                0.0,
                (0.0, 300.0, 900.0),
            ),
        ),
    ),
    "ray": _Baseline(
        Ray,
        (
            _requests_at_a_time(lambda _: 2.0),
            _plain(
                "downscale_delay",
                "seconds of downscale_delay_s",
                (0.0, _HOUR),
                600.0,
                (120.0, 300.0, 600.0),
            ),
        ),
    ),
    "fixed": _Baseline(
        Fixed,
        (
            _Parameter(
                "n",
                "replicas, within --min and --max",
                lambda manifest: (manifest.min_replicas, manifest.max_replicas),
                lambda manifest: manifest.min_replicas,
                _numbers_of_replicas,
                whole=True,
            ),
        ),
    ),
}
