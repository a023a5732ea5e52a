"""How long batches take, learned from live pods; what the build measured is the prior.

dlagent.reconcile.service_times calls `learn` with the counters of one pod at a time, and gives
`service_of` to the decision. The fit is weighted least squares of tau(b) = tau0 + alpha b, in these
coordinates: the ratio of a measured time to the prior's, as a line over the batch's place between
the smallest batch (0) and the largest (1). So relative errors count, the prior is the line 1, and
a batch size alone, which tells no slope, scales the prior.

Forgetting is by evidence and not by time: what is known weighs at most `_MEMORY` batches, and what
is new takes the place of what is old, exponentially. While nothing comes, nothing is forgotten.

With several instances tau is the time of a batch while all of them work, and few work at a light
load. A batch took r seconds while j of k instances worked; while all work it takes at least r, and
at most r k / j, which is when more instances gain nothing at all. An estimate between the two is
left as it is, any other is drawn to the nearer one.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from dlagent.domain.scaling.batch_counts import BatchCounts, Observed, observed
from dlagent.domain.scaling.service_time import ServiceTime

# Weights are in batches. A busy pod has some hundred a minute, whose times vary by some 30 % (a
# neighbour's work): the mean of 100 is right to 3 %, that of 500 to 1.3 %.
_MEMORY = 500.0
_LOOK_AT_MOST = 100.0  # one look: no minute, and no pod, is more than a fifth of what is known
# What varies by 30 % itself tells as much of a prior that may be 30 % off as one batch does; more,
# since the first batches of a size are slow.
_PRIOR_WEIGHT = 5.0
# Of the slope of the ratio: 1 is where times that vary by 30 % meet a prior that may be 30 % off in
# its shape. It decides while all batches are about equally large.
_SHAPE_WEIGHT = 1.0
# A look that differs more than so from what is known changes nothing, until a second one in a row
# (of another pod, where there are several) says the same: then what was known is dropped.
_SURPRISE = 3.0
_PLAUSIBLE = 1000.0  # a time that differs more than so from the prior's is not this model's
# The service that is told changes by steps, since each change costs the queue's arithmetic.
_STEP = 0.03


class Sums(NamedTuple):
    """Sufficient statistics of the line: sums over batches of 1, place, place^2, ratio, both."""

    weight: float
    place: float
    place_squared: float
    ratio: float
    place_ratio: float

    def plus(self, other: "Sums") -> "Sums":
        return Sums(*(mine + its for mine, its in zip(self, other, strict=True)))

    def times(self, share: float) -> "Sums":
        return Sums(*(share * mine for mine in self))

    @property
    def mean_ratio(self) -> float:
        return self.ratio / self.weight


class Ratios(NamedTuple):
    """Of the time to the prior's, at the smallest batch and at the largest."""

    first: float
    last: float

    def at(self, place: float) -> float:
        """The ratio between the two."""
        return self.first + place * (self.last - self.first)


class Doubt(NamedTuple):
    """What a pod told that was not believed."""

    pod: str
    told: Sums


_NOTHING = Sums(0.0, 0.0, 0.0, 0.0, 0.0)
_AS_THE_PRIOR = Ratios(1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Learned:
    """What live pods of one revision told, beside its prior; it knows nothing to begin with.

    `mark`: the counters of the last look. `known`: the line's statistics, and `prior_weight` what
    the prior still weighs beside them. `doubted` waits to be confirmed. `told`: the line that
    `service_of` gives.
    """

    mark: BatchCounts | None = None
    known: Sums = _NOTHING
    prior_weight: float = _PRIOR_WEIGHT
    doubted: Doubt | None = None
    told: Ratios = _AS_THE_PRIOR


def learn(
    state: Learned, prior: ServiceTime, counts: BatchCounts, agent: str, several: bool = False
) -> Learned:
    """What is known after a look at a pod; `agent` is the name of the model that is the agent, and
    `several` says that other pods can be asked as well.

    Whatever the counters hold, `service_of` stays a ServiceTime: what is not a time of this model
    is left out.
    """
    seen = observed(state.mark, counts, agent)
    state = replace(state, mark=counts)
    if seen is None:
        return state
    believed, odd = _sums(seen, prior, _line(state, prior))
    if odd.weight > believed.weight:
        state = _doubt(state, Doubt(counts.pod, believed.plus(odd)), several)
    elif believed.weight > 0:
        state = _take_in(state, believed)
    line = _line(state, prior)
    moved = any(abs(new / old - 1) > _STEP for new, old in zip(line, state.told, strict=True))
    return replace(state, told=line) if moved else state


def service_of(state: Learned, prior: ServiceTime) -> ServiceTime:
    """The prior's line, corrected by what was learned; all else is as in the prior."""
    if state.told == _AS_THE_PRIOR:
        return prior
    first = state.told.first * prior.seconds(1)
    last = state.told.last * prior.seconds(prior.max_batch)
    slope = max(0.0, (last - first) / (prior.max_batch - 1)) if prior.max_batch > 1 else 0.0
    return replace(prior, base_seconds=max(0.0, first - slope), per_item_seconds=slope)


def _take_in(state: Learned, new: Sums) -> Learned:
    kept = min(1.0, (_MEMORY - new.weight) / (state.prior_weight + state.known.weight))
    return replace(
        state,
        known=state.known.times(kept).plus(new),
        prior_weight=kept * state.prior_weight,
        doubted=None,
    )


def _doubt(state: Learned, new: Doubt, several: bool) -> Learned:
    before = state.doubted
    if before is not None and several and before.pod == new.pod:
        return state
    if before is None or not _is_near(new.told.mean_ratio / before.told.mean_ratio, _SURPRISE):
        return replace(state, doubted=new)
    return replace(state, known=before.told.plus(new.told), prior_weight=0.0, doubted=None)


def _sums(seen: Observed, prior: ServiceTime, present: Ratios) -> tuple[Sums, Sums]:
    """The statistics of a look: of the sizes that are near the present line, and of the others."""
    batches = sum(worked.batches for worked in seen.by_size.values())
    share = min(1.0, _LOOK_AT_MOST / batches) if batches > 0 else 0.0
    near = far = _NOTHING
    for size, worked in seen.by_size.items():
        if not 1 <= size <= prior.max_batch:
            continue
        ratio = worked.seconds / worked.batches / prior.seconds(size)
        if not _is_near(ratio, _PLAUSIBLE):
            continue
        place = _place(size, prior)
        expected = present.at(place)
        longest = ratio * prior.instances / min(prior.instances, max(1.0, seen.busy))
        if ratio <= expected <= longest and ratio < longest:
            continue
        told = longest if longest < expected else ratio
        its = _weighed(share * worked.batches, place, told)
        if _is_near(told / expected, _SURPRISE):
            near = near.plus(its)
        else:
            far = far.plus(its)
    return near, far


def _weighed(weight: float, place: float, ratio: float) -> Sums:
    return Sums(1.0, place, place * place, ratio, place * ratio).times(weight)


def _is_near(ratio: float, factor: float) -> bool:
    return 1 / factor <= ratio <= factor


def _place(size: int, prior: ServiceTime) -> float:
    """Where on the line of ratios a batch is: tau(size) = (1-q) tau(1) + q tau(max_batch)."""
    if prior.max_batch == 1:
        return 0.0
    share = (size - 1) / (prior.max_batch - 1)
    return share * prior.seconds(prior.max_batch) / prior.seconds(size)


def _line(state: Learned, prior: ServiceTime) -> Ratios:
    """The least squares line whose time neither falls with the batch nor is negative at 0.

    The prior is one point more, with the ratio 1, in the middle of the others: it holds the level
    and says nothing of the slope.
    """
    known = state.known
    middle = known.place / known.weight if known.weight > 0 else 0.0
    sums = known.plus(_weighed(state.prior_weight, middle, 1.0))
    spread = max(0.0, sums.place_squared - middle * sums.place)
    slope = (sums.place_ratio - middle * sums.ratio) / (spread + _SHAPE_WEIGHT)
    first = sums.mean_ratio - slope * middle
    flat = prior.seconds(1) / prior.seconds(prior.max_batch)
    proportional = flat * prior.max_batch
    if first + slope < flat * first:
        return _bound(sums, flat)
    if first + slope > proportional * first:
        return _bound(sums, proportional)
    return Ratios(first, first + slope)


def _bound(sums: Sums, last: float) -> Ratios:
    """The best of the lines that end at `last` times where they begin."""
    rise = last - 1
    measured = sums.ratio + rise * sums.place_ratio
    places = sums.weight + 2 * rise * sums.place + rise**2 * (sums.place_squared + _SHAPE_WEIGHT)
    first = measured / places
    return Ratios(first, last * first)
