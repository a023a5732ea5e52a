"""The words of `dlagent explain`: plain values in, sections of sentences out.

Pure. dlagent.cli.explain prints them; dlagent.domain.scaling.situation says what the values are. A
figure that is not known is left out, never shown as zero.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from dlagent.domain.scaling.cost import price_per_thousand
from dlagent.domain.scaling.model import Limit, Reason
from dlagent.domain.scaling.need import told
from dlagent.domain.scaling.pod_starts import FEWEST_STARTS
from dlagent.domain.scaling.situation import Decided, Load, Replica, Situation, Spent

_MANUAL = "spec.scaling.mode is Manual: spec.replicas counts, and nobody but you changes it."
_PAUSED = "spec.paused is true: replicas stay as they are."
_NO_DECISION = "No number of replicas was decided: spec.scaling.mode was Manual, or spec.paused."
_STATES = (
    ("ready", "answers", "answer"),
    ("starting", "is coming up", "are coming up"),
    ("stuck", "does not come up", "do not come up"),
    ("unschedulable", "finds no node", "find no node"),
    ("leaving", "is being removed", "are being removed"),
)
_REASONS: dict[str, str] = {
    Reason.LOAD: "by the load as it is",
    Reason.FORECAST: "by what the load may become",
    Reason.BACKLOG: "by what waits",
    Reason.HOLDING: "kept, though the load needs fewer now",
    Reason.NO_TRAFFIC: "since nothing arrives",
    Reason.NO_DATA: "with nothing known of the load",
    Reason.BOUNDS: "by the bounds, not by the load",
}


@dataclass(frozen=True, slots=True)
class Section:
    """A title, and sentences that belong to it."""

    title: str
    lines: tuple[str, ...]


def sections(situation: Situation, spent: Spent | None) -> tuple[Section, ...]:
    """What there is to say, in the order in which a decision is made."""
    found = [
        Section("Seen", (*_seen(situation), *_burned(spent))),
        Section("One replica", _one(situation)),
        Section("Forecast", _forecast(situation)),
        Section("Decided", _decision(situation)),
        Section("What would change it", _change(situation)),
        Section("Cost", _cost(spent)),
    ]
    return tuple(section for section in found if section.lines)


def _seen(situation: Situation) -> tuple[str, ...]:
    load = situation.load
    lines = [_arriving(load)]
    promise = f"{100 * situation.objective:.4g} % within {_ms(situation.threshold_seconds)}"
    if load.p99_seconds is not None:
        lines.append(f"The p99 is {_ms(load.p99_seconds)}; the promise is {promise}.")
    else:
        lines.append(f"The promise is {promise}.")
    pods = [
        f"{count} {one if count == 1 else several}"
        for state, one, several in _STATES
        if (count := load.pods.get(state, 0))
    ]
    if pods:
        lines.append(f"Pods: {', '.join(pods)}.")
    if load.silent:
        lines.append(
            f"There is no fresh sample of {', '.join(load.silent)}: the others stand in, and"
            " nothing is lowered."
        )
    if load.skewed is not None:
        lines.append(
            f"{load.skewed} has far more to do than the others, which more replicas do not mend."
        )
    return tuple(lines)


def _arriving(load: Load) -> str:
    if load.arrivals is None:
        return f"Nothing is known of the load{f': {load.why}' if load.why else ''}."
    if load.arrivals == 0:
        text = "No requests arrive"
    else:
        text = f"{_rate(load.arrivals)} requests/s arrive"
        rows = load.rows_per_request
        if rows is not None and abs(rows - 1) >= 0.05:
            text += f", of {rows:.3g} rows each to compute"
    if load.waiting is not None and load.waiting >= 1:
        text += f"; {load.waiting:.0f} wait"
    return f"{text}."


def _burned(spent: Spent | None) -> tuple[str, ...]:
    if spent is None:
        return ()
    burned = ((spent.burn_hour, "hour"), (spent.burn_day, "day"))
    rates = [f"{rate:.2g} over the {span} before" for rate, span in burned if rate is not None]
    if not rates:
        return ()
    text = f"Burn rate of the error budget: {', '.join(rates)}"
    return (f"{text} (1 spends it in exactly its window).",)


def _one(situation: Situation) -> tuple[str, ...]:
    replica = situation.replica
    lines = []
    if replica.capacity is not None:
        lines.append(_able(situation, replica.capacity))
    elif situation.decided is not None:
        lines.append("What one can do is not known: its batch times were not measured.")
    if replica.full_seconds is not None and replica.first_seconds is not None:
        first, full, most = replica.first_seconds, replica.full_seconds, replica.max_batch
        batches = f"A batch of 1 takes {_ms(first)}"
        batches += f", of {most} {_ms(full)}" if most != 1 else ""
        lines.append(f"{batches}: {_source(replica)}.")
    if replica.start_seconds is not None:
        text = f"A pod is ready {replica.start_seconds:.0f} s after it was asked for"
        text += f": {_starts(replica.starts)}" if replica.starts is not None else ""
        lines.append(f"{text}.")
    return tuple(lines)


def _able(situation: Situation, capacity: float) -> str:
    within = _ms(situation.threshold_seconds)
    replica = situation.replica
    if replica.feasible is False:
        return (
            f"It answers {_rate(capacity)} requests/s, none of them surely within {within}: a"
            " request that is alone takes longer."
        )
    text = f"It answers {_rate(capacity)} requests/s within {within}"
    if replica.saturation is not None:
        text += f", and {_rate(replica.saturation)}/s at all"
    return f"{text}."


def _source(replica: Replica) -> str:
    return "learned from its pods" if replica.learned else "as its build measured"


def _starts(count: int) -> str:
    if count >= FEWEST_STARTS:
        return f"so it was with nine in ten of {count}"
    by = "by the operator's settings"
    return f"{by}, or as it was with {count} if that was longer" if count else by


def _forecast(situation: Situation) -> tuple[str, ...]:
    foreseen = situation.foreseen
    if situation.decided is None:
        return ()
    if foreseen is None:
        return (f"There is none: {_why_none(situation)}.",)
    less = f", with one less {_count(foreseen.missed_with_one_less)}"
    return (
        f"In the next {_span(foreseen.seconds)} {_rate(foreseen.rate)} requests/s are expected; one"
        f" time in twenty the busiest minute has more than {_rate(foreseen.peak)}/s.",
        f"With the replicas decided {_count(foreseen.missed)} miss the promise meanwhile"
        f"{less if situation.decided.desired > 1 else ''}. Each is worth {foreseen.price:.2g} s of"
        " a replica's time: more while the error budget is spent fast.",
    )


def _why_none(situation: Situation) -> str:
    if situation.load.arrivals is None:
        return "nothing is known of the load"
    if situation.replica.capacity is None:
        return "it needs the batch times of a replica"
    if situation.replica.feasible is False:
        return "no number of replicas keeps the promise"
    return "it needs ten minutes of traffic to learn from"


def _decision(situation: Situation) -> tuple[str, ...]:
    decided = situation.decided
    if decided is None:
        return (_nobody(situation),)
    said = told(decided.desired)
    if situation.mode == "Advise":
        said += " would be right; spec.scaling.mode is Advise: you decide"
    lines = [f"{said}{_because(decided)}."]
    if decided.message:
        lines.append(decided.message)
    if decided.limit == Limit.INFEASIBLE.name:
        lines.append("No number of replicas keeps the promise.")
    if decided.limit == Limit.UNSCHEDULABLE.name:
        lines.append("No node takes the next pod: none are added for what waits.")
    return tuple(lines)


def _nobody(situation: Situation) -> str:
    if situation.mode == "Manual":
        return _MANUAL
    if situation.paused:
        return _PAUSED
    return "Nothing has been decided yet." if situation.mode else _NO_DECISION


def _because(decided: Decided) -> str:
    text = _REASONS.get(decided.reason) if decided.reason is not None else None
    return f", {text}" if text else ""


def _change(situation: Situation) -> tuple[str, ...]:
    if situation.decided is None:
        return _mode(situation)
    return (
        *_upwards(situation, situation.decided),
        *_downwards(situation, situation.decided),
        *_bounds(situation.decided),
    )


def _mode(situation: Situation) -> tuple[str, ...]:
    if situation.mode == "Manual":
        return ("With spec.scaling.mode Auto the operator would decide.",)
    return ("With spec.paused false the operator would decide.",) if situation.paused else ()


def _upwards(situation: Situation, decided: Decided) -> tuple[str, ...]:
    turning, most = situation.turning, decided.max_replicas
    needed = decided.needed
    if most is not None and needed is not None and needed > most:
        return (f"{told(needed)} are needed: a higher spec.scaling.maxReplicas.",)
    if decided.desired == most:
        return (f"None is added at any load: spec.scaling.maxReplicas is {most}.",)
    if situation.load.arrivals is None:
        return ("Fresh samples of its pods in Prometheus: until then nothing is lowered.",)
    if turning is None:
        return _by_capacity(situation, decided)
    if turning.more_from is None:
        return ()
    return (f"At {_rate(turning.more_from)} requests/s one replica more is asked for, at once.",)


def _by_capacity(situation: Situation, decided: Decided) -> tuple[str, ...]:
    """Of the past, of which nobody can ask what would have been decided at another load."""
    capacity = situation.replica.capacity
    if capacity is None:
        return ()
    together = _rate(decided.desired * capacity)
    return (f"{told(decided.desired)} answer {together} requests/s within the promise.",)


def _downwards(situation: Situation, decided: Decided) -> tuple[str, ...]:
    turning, arrivals = situation.turning, situation.load.arrivals
    at_least = decided.min_replicas if decided.min_replicas is not None else 1
    if turning is None or arrivals is None or decided.desired <= at_least or situation.load.silent:
        return ()
    held = f" for {_span(decided.hold_seconds)}" if decided.hold_seconds is not None else ""
    if turning.lower_from is not None:
        due = max(0.0, turning.lower_from - situation.at)
        when = f"{_clock(turning.lower_from)}, in {due:.0f} s" if due > 0 else "the next tick"
        return (f"Fewer are enough just now; if it stays so, the number falls: {when}.",)
    if turning.fewer_below is None:
        return ()
    return (f"Below {_rate(turning.fewer_below)} requests/s{held} one replica is taken away.",)


def _bounds(decided: Decided) -> tuple[str, ...]:
    least, needed = decided.min_replicas, decided.needed
    if least is None or decided.desired != least or (needed is not None and needed >= least):
        return ()
    if decided.scheduled is not None:
        return (f"The end of an event of spec.scaling.schedule: {decided.scheduled}.",)
    if needed is None or least <= 1:
        return ()
    return (f"{told(needed)} would be enough: a lower spec.scaling.minReplicas than {least}.",)


def _cost(spent: Spent | None) -> tuple[str, ...]:
    if spent is None or spent.replica_seconds is None:
        return ()
    hours = f"{spent.replica_seconds / 3600:.3g} replica hours"
    for resource, seconds in sorted(spent.accelerator_seconds.items()):
        hours += f", {seconds / 3600:.3g} hours of {resource}"
    lines = [f"In the {_span(3600 * spent.hours)} before: {hours}."]
    for currency, cost in sorted(spent.costs.items()):
        text = f"That is {cost:.2f} {currency}"
        each = price_per_thousand(cost, spent.requests or 0.0)
        if each is not None:
            text += f": {each:.3g} {currency} per 1,000 requests"
        lines.append(f"{text}.")
    if not spent.costs:
        lines.append("What it cost is not known: the operator's settings have no price for it.")
    return tuple(lines)


def _count(requests: float) -> str:
    if requests < 1:
        return "less than one request"
    return f"{requests:,.0f} requests"


def _rate(per_second: float) -> str:
    return f"{per_second:.3g}" if per_second < 100 else f"{per_second:,.0f}"


def _ms(seconds: float) -> str:
    milliseconds = 1000 * seconds
    return f"{milliseconds:.2g} ms" if milliseconds < 10 else f"{milliseconds:,.0f} ms"


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.0f} hours"


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")
