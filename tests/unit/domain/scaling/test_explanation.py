"""The words of an explanation: one row for each thing that there may be to say."""

from dataclasses import replace

import pytest

from dlagent.domain.scaling.explanation import sections
from dlagent.domain.scaling.model import Foreseen
from dlagent.domain.scaling.situation import (
    Decided,
    Load,
    Replica,
    Situation,
    Spent,
    from_json,
    to_json,
)
from dlagent.domain.scaling.turning import Turning

FORESEEN = Foreseen(250.0, 97.7, 125.5, 27.4, 4731.7, 0.514)
SITUATION = Situation(
    at=1_772_368_200.0,  # 2026-03-01 12:30 UTC
    objective=0.99,
    threshold_seconds=0.5,
    load=Load(100.0, None, 0.0, 1.0, 0.31, {"ready": 4}),
    replica=Replica(32.4, True, 40.0, 0.06, 0.2, 8, True, 62.0, 5),
    mode="Auto",
    foreseen=FORESEEN,
    decided=Decided(4, "Load", "So it is.", 4, None, 1, 50, None, 186.0),
    turning=Turning(186.4, 62.1, None),
)
SPENT = Spent(24.0, 345_600.0, {"nvidia.com/gpu": 345_600.0}, {"EUR": 240.0}, 8e6, 0.4, 0.71)
DECIDED = SITUATION.decided
assert DECIDED is not None


def told(situation: Situation, title: str, spent: Spent | None = SPENT) -> str:
    """The lines of a section, "" where there is none."""
    found = {section.title: section.lines for section in sections(situation, spent)}
    return " ".join(found.get(title, ()))


def load(**changes: object) -> Situation:
    return replace(SITUATION, load=replace(SITUATION.load, **changes))  # type: ignore[arg-type]


def replica(**changes: object) -> Situation:
    return replace(SITUATION, replica=replace(SITUATION.replica, **changes))  # type: ignore[arg-type]


def decision(**changes: object) -> Situation:
    return replace(SITUATION, decided=replace(DECIDED, **changes))  # type: ignore[type-var]


def turning(*values: float | None) -> Situation:
    return replace(SITUATION, turning=Turning(*values))


NOBODY = replace(SITUATION, decided=None, foreseen=None, turning=None)
UNFORESEEN = replace(SITUATION, foreseen=None)
PAST = replace(SITUATION, mode=None, turning=None)


@pytest.mark.parametrize(
    ("situation", "says"),
    [
        pytest.param(SITUATION, "100 requests/s arrive.", id="a load"),
        pytest.param(load(arrivals=12_345.6), "12,346 requests/s arrive", id="a large one"),
        pytest.param(load(arrivals=0.0), "No requests arrive.", id="none"),
        pytest.param(
            load(arrivals=None, why="Prometheus does not answer"),
            "Nothing is known of the load: Prometheus does not answer.",
            id="no data, and why",
        ),
        pytest.param(load(arrivals=None), "Nothing is known of the load.", id="no data"),
        pytest.param(load(waiting=12.2), "100 requests/s arrive; 12 wait.", id="a queue"),
        pytest.param(
            load(rows_per_request=16.0), "arrive, of 16 rows each to compute", id="several rows"
        ),
        pytest.param(
            SITUATION, "The p99 is 310 ms; the promise is 99 % within 500 ms.", id="latency"
        ),
        pytest.param(
            load(p99_seconds=None), "The promise is 99 % within 500 ms.", id="latency not known"
        ),
        pytest.param(
            replace(SITUATION, objective=0.999, threshold_seconds=0.005),
            "the promise is 99.9 % within 5 ms",
            id="another promise",
        ),
        pytest.param(
            load(pods={"ready": 1, "starting": 2, "stuck": 1, "unschedulable": 3, "leaving": 1}),
            "Pods: 1 answers, 2 are coming up, 1 does not come up, 3 find no node,"
            " 1 is being removed.",
            id="pods in each state",
        ),
        pytest.param(
            load(silent=("a", "b")), "There is no fresh sample of a, b", id="pods without samples"
        ),
        pytest.param(
            load(skewed="shoes-1"),
            "shoes-1 has far more to do than the others, which more replicas do not mend.",
            id="skew",
        ),
        pytest.param(
            SITUATION,
            "Burn rate of the error budget: 0.4 over the hour before, 0.71 over the day before",
            id="the error budget",
        ),
    ],
)
def test_what_was_seen(situation: Situation, says: str) -> None:
    assert says in told(situation, "Seen")


def test_a_budget_that_is_not_known_is_left_out() -> None:
    for spent in (None, Spent(24.0)):
        assert "Burn rate" not in told(SITUATION, "Seen", spent)


@pytest.mark.parametrize(
    ("situation", "says"),
    [
        pytest.param(
            SITUATION, "It answers 32.4 requests/s within 500 ms, and 40/s at all.", id="able"
        ),
        pytest.param(
            replica(feasible=False),
            "none of them surely within 500 ms: a request that is alone takes longer",
            id="infeasible",
        ),
        pytest.param(replica(capacity=None), "What one can do is not known", id="not measured"),
        pytest.param(
            SITUATION,
            "A batch of 1 takes 60 ms, of 8 200 ms: learned from its pods.",
            id="batch times that were learned",
        ),
        pytest.param(
            replica(max_batch=1, full_seconds=0.06, learned=False),
            "A batch of 1 takes 60 ms: as its build measured.",
            id="no batches, from the build",
        ),
        pytest.param(
            SITUATION,
            "A pod is ready 62 s after it was asked for: so it was with nine in ten of 5.",
            id="starts that were learned",
        ),
        pytest.param(replica(starts=0), ": by the operator's settings.", id="no starts yet"),
        pytest.param(
            replica(starts=2),
            ": by the operator's settings, or as it was with 2 if that was longer.",
            id="too few starts to rest on",
        ),
    ],
)
def test_what_one_replica_can_do(situation: Situation, says: str) -> None:
    assert says in told(situation, "One replica")


@pytest.mark.parametrize(
    ("situation", "says"),
    [
        pytest.param(
            SITUATION,
            "In the next 4 min 97.7 requests/s are expected; one time in twenty the busiest minute"
            " has more than 126/s.",
            id="rates",
        ),
        pytest.param(
            SITUATION,
            "27 requests miss the promise meanwhile, with one less 4,732 requests. Each is worth"
            " 0.51 s of a replica's time",
            id="what a miss is worth",
        ),
        pytest.param(
            replace(SITUATION, foreseen=replace(FORESEEN, missed=0.2)),
            "decided less than one request miss",
            id="next to none",
        ),
        pytest.param(
            decision(desired=1), "miss the promise meanwhile. Each is", id="one less would be none"
        ),
        pytest.param(UNFORESEEN, "There is none: it needs ten minutes", id="no history"),
        pytest.param(
            replace(UNFORESEEN, load=Load(None)), "nothing is known of the load", id="no data"
        ),
        pytest.param(
            replace(UNFORESEEN, replica=Replica(capacity=1.0, feasible=False)),
            "no number of replicas keeps the promise",
            id="infeasible",
        ),
        pytest.param(
            replace(UNFORESEEN, replica=Replica()),
            "There is none: it needs the batch times of a replica.",
            id="nothing was measured",
        ),
    ],
)
def test_what_was_forecast(situation: Situation, says: str) -> None:
    assert says in told(situation, "Forecast")


def test_where_nobody_decides_there_is_no_word_of_a_forecast() -> None:
    assert "" == told(NOBODY, "Forecast")


@pytest.mark.parametrize(
    ("situation", "says"),
    [
        pytest.param(SITUATION, "4 replicas, by the load as it is. So it is.", id="by the load"),
        pytest.param(
            decision(reason="Holding"), "kept, though the load needs fewer now", id="held"
        ),
        pytest.param(
            decision(reason="NoData"), "4 replicas, with nothing known of the load", id="no data"
        ),
        pytest.param(decision(reason="Newer"), "4 replicas. So", id="a newer operator's reason"),
        pytest.param(decision(reason=None, message=None), "4 replicas.", id="nothing but a number"),
        pytest.param(
            decision(limit="INFEASIBLE"), "No number of replicas keeps the promise", id="infeasible"
        ),
        pytest.param(decision(limit="UNSCHEDULABLE"), "No node takes the next pod", id="no node"),
        pytest.param(
            replace(SITUATION, mode="Advise"),
            "4 replicas would be right; spec.scaling.mode is Advise: you decide",
            id="advice",
        ),
        pytest.param(
            replace(NOBODY, mode="Manual"),
            "spec.scaling.mode is Manual: spec.replicas",
            id="manual",
        ),
        pytest.param(replace(NOBODY, paused=True), "spec.paused is true", id="paused"),
        pytest.param(NOBODY, "Nothing has been decided yet.", id="nothing serves yet"),
        pytest.param(
            replace(NOBODY, mode=None), "spec.scaling.mode was Manual, or spec.paused", id="past"
        ),
    ],
)
def test_what_was_decided(situation: Situation, says: str) -> None:
    assert says in told(situation, "Decided")


@pytest.mark.parametrize(
    ("situation", "says"),
    [
        pytest.param(
            SITUATION,
            "At 186 requests/s one replica more is asked for, at once."
            " Below 62.1 requests/s for 3 min one replica is taken away.",
            id="the load",
        ),
        pytest.param(
            turning(186.4, None, SITUATION.at + 90),
            "Fewer are enough just now; if it stays so, the number falls: 12:31:30 UTC, in 90 s.",
            id="the end of the hold time",
        ),
        pytest.param(
            turning(186.4, None, SITUATION.at - 1),
            "the number falls: the next tick",
            id="it is over",
        ),
        pytest.param(
            decision(desired=50, needed=50), "None is added at any load", id="all that are allowed"
        ),
        pytest.param(
            decision(desired=50, needed=70),
            "70 replicas are needed: a higher spec.scaling.maxReplicas.",
            id="too few are allowed",
        ),
        pytest.param(
            decision(min_replicas=4, needed=2),
            "2 replicas would be enough: a lower spec.scaling.minReplicas than 4.",
            id="the lower bound",
        ),
        pytest.param(
            decision(min_replicas=4, needed=2, scheduled="Sale, 2026-03-01 12:00 to 14:00 (UTC)"),
            "The end of an event of spec.scaling.schedule: Sale, 2026-03-01 12:00 to 14:00 (UTC).",
            id="a known event",
        ),
        pytest.param(
            replace(load(arrivals=None), turning=None), "Fresh samples of its pods", id="no data"
        ),
        pytest.param(PAST, "4 replicas answer 130 requests/s within the promise.", id="the past"),
        pytest.param(
            replace(NOBODY, mode="Manual"), "With spec.scaling.mode Auto the operator", id="manual"
        ),
        pytest.param(replace(NOBODY, paused=True), "With spec.paused false", id="paused"),
    ],
)
def test_what_would_change_it(situation: Situation, says: str) -> None:
    assert says in told(situation, "What would change it")


@pytest.mark.parametrize(
    ("situation", "never"),
    [
        pytest.param(turning(None, 62.1, None), "one replica more", id="no rate asks for more"),
        pytest.param(
            turning(186.4, None, None), "is taken away", id="no rate is low enough for less"
        ),
        pytest.param(decision(desired=1), "Below", id="the last replica"),
        pytest.param(load(silent=("shoes-1",)), "Below", id="a silent pod keeps all"),
        pytest.param(decision(min_replicas=4), "Below", id="the lower bound holds, rightly"),
        pytest.param(decision(min_replicas=4), "minReplicas", id="and is not in the way"),
    ],
)
def test_what_cannot_happen_is_not_said(situation: Situation, never: str) -> None:
    assert never not in told(situation, "What would change it")


@pytest.mark.parametrize(
    ("spent", "says"),
    [
        pytest.param(
            SPENT,
            "In the 24 hours before: 96 replica hours, 96 hours of nvidia.com/gpu."
            " That is 240.00 EUR: 0.03 EUR per 1,000 requests.",
            id="all is known",
        ),
        pytest.param(replace(SPENT, requests=0.0), "That is 240.00 EUR.", id="nothing was asked"),
        pytest.param(replace(SPENT, costs={}), "settings have no price for it", id="no price"),
        pytest.param(replace(SPENT, accelerator_seconds={}), "96 replica hours.", id="no GPU"),
    ],
)
def test_what_it_cost(spent: Spent, says: str) -> None:
    assert says in told(SITUATION, "Cost", spent)


@pytest.mark.parametrize("spent", [None, Spent(24.0)], ids=["nobody tells", "nothing is recorded"])
def test_without_records_there_is_no_cost(spent: Spent | None) -> None:
    assert "" == told(SITUATION, "Cost", spent)


@pytest.mark.parametrize("situation", [SITUATION, NOBODY, PAST])
def test_it_travels_as_json(situation: Situation) -> None:
    assert situation == from_json(to_json(situation))


def test_other_json_is_refused() -> None:
    with pytest.raises(ValueError, match="validation error"):
        from_json(b'{"at": 1}')
