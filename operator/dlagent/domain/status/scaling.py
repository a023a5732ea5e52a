"""What the status says of the number of replicas and of the promise.

Pure; read by dlagent.domain.status.decision. Nothing here moves with every measurement: figures
that do are metrics. Before the scaler's first tick, as after a restart of the operator, everything
stays as it was.
"""

from datetime import datetime

from dlagent.api.conditions import ConditionType, Reason
from dlagent.api.status import DLAgentStatus, ScalingStatus, SloStatus
from dlagent.api.types import ScalingMode, Slo
from dlagent.domain.rollout.seen import Seen
from dlagent.domain.rollout.size import wanted_replicas
from dlagent.domain.scaling.model import Decision, Limit
from dlagent.domain.scaling.model import Reason as Why
from dlagent.domain.scaling.schedule import told
from dlagent.domain.scaling.skew import Skew
from dlagent.domain.scaling.slo import SloJudgement, Verdict
from dlagent.domain.status.conditions import Finding, finding_of
from dlagent.domain.status.model import find_condition, timestamp

# Of what a replica can do, before the status tells it anew.
_CAPACITY_CHANGE = 0.2

_UNMEASURED = "Nothing has been measured yet."
_NOTHING_YET = {
    ConditionType.SLO_MET: Finding(ConditionType.SLO_MET, None, Reason.NO_DATA, _UNMEASURED),
    ConditionType.SCALING_ACTIVE: Finding(
        ConditionType.SCALING_ACTIVE, None, Reason.METRICS_UNAVAILABLE, _UNMEASURED
    ),
    ConditionType.SCALING_LIMITED: Finding(
        ConditionType.SCALING_LIMITED,
        False,
        Reason.WITHIN_LIMITS,
        "Nothing limits the number of replicas.",
    ),
}
_VERDICTS = {
    Verdict.MET: (True, Reason.MET),
    Verdict.BUDGET_SPENT: (False, Reason.BUDGET_SPENT),
    Verdict.NO_TRAFFIC: (None, Reason.NO_TRAFFIC),
    Verdict.INSUFFICIENT_HISTORY: (None, Reason.INSUFFICIENT_HISTORY),
    Verdict.NO_DATA: (None, Reason.NO_DATA),
}
_LIMITS = {
    Limit.AT_MAXIMUM: Reason.AT_MAXIMUM,
    Limit.AT_MINIMUM: Reason.AT_MINIMUM,
    Limit.INFEASIBLE: Reason.INFEASIBLE,
    Limit.UNSCHEDULABLE: Reason.UNSCHEDULABLE,
}


def as_before(status: DLAgentStatus, type_: ConditionType) -> Finding:
    """One of the three conditions of this module, as it was or as it is at first."""
    known = find_condition(status, type_)
    return finding_of(known) if known is not None else _NOTHING_YET[type_]


def scaling_findings(seen: Seen) -> list[Finding]:
    """SLOMet, ScalingActive, ScalingLimited."""
    return [_slo_met(seen), _active(seen), _limited(seen)]


def _slo_met(seen: Seen) -> Finding:
    if seen.scaling is None:
        return as_before(seen.status, ConditionType.SLO_MET)
    judgement = seen.scaling.slo
    is_true, reason = _VERDICTS[judgement.verdict]
    message = _judged(judgement, seen.agent.spec.slo)
    return Finding(ConditionType.SLO_MET, is_true, reason, message)


def _judged(judgement: SloJudgement, slo: Slo) -> str:
    latency = slo.latency
    goal = f"{latency.objective_percent} % within {latency.threshold_milliseconds} ms"
    window = "day" if slo.window_days == 1 else f"{slo.window_days} days"
    seen = f"in what was seen of the last {window}"
    match judgement.verdict:
        case Verdict.MET:
            left = judgement.budget_left_percent
            return f"{goal} holds {seen}; at least {left} % of the error budget is left."
        case Verdict.BUDGET_SPENT:
            return f"{goal} does not hold {seen}: the error budget is spent."
        case Verdict.NO_TRAFFIC:
            return f"No requests to speak of came {seen}."
        case Verdict.INSUFFICIENT_HISTORY:
            return (
                f"{goal} is judged once {judgement.requests_to_judge} requests were seen within"
                f" {window}."
            )
        case Verdict.NO_DATA:
            return f"Nothing is known: {judgement.why}."


def _active(seen: Seen) -> Finding:
    def finding(is_true: bool, reason: Reason, message: str) -> Finding:
        return Finding(ConditionType.SCALING_ACTIVE, is_true, reason, message)

    spec = seen.agent.spec
    if spec.scaling.mode is ScalingMode.MANUAL:
        return finding(False, Reason.MANUAL, "spec.scaling.mode is Manual: spec.replicas counts.")
    if spec.paused:
        return finding(False, Reason.PAUSED, "spec.paused is true: replicas stay as they are.")
    decision = _decision(seen)
    if decision is None:
        return as_before(seen.status, ConditionType.SCALING_ACTIVE)
    if decision.blind is not None:
        message = f"{_sentence(decision.blind)} The number of replicas does not fall meanwhile."
        return finding(False, Reason.METRICS_UNAVAILABLE, message)
    if spec.scaling.mode is ScalingMode.ADVISE:
        message = (
            "status.scaling says what would be done; replicas stay as they are"
            " (spec.scaling.mode is Advise)."
        )
        return finding(True, Reason.ADVISE, message)
    return finding(True, Reason.ACTIVE, "The number of replicas follows the load.")


def _limited(seen: Seen) -> Finding:
    nothing = _NOTHING_YET[ConditionType.SCALING_LIMITED]
    if seen.agent.spec.scaling.mode is ScalingMode.MANUAL:
        return nothing
    decision = _decision(seen)
    if decision is None or decision.blind is not None:
        return as_before(seen.status, ConditionType.SCALING_LIMITED)
    skew = seen.scaling.skew if seen.scaling is not None else None
    if decision.limit in (None, Limit.AT_MINIMUM) and skew is not None:
        return Finding(
            ConditionType.SCALING_LIMITED, True, Reason.TRAFFIC_SKEW, _skew_message(skew)
        )
    if decision.limit is None:
        return nothing
    message = _limit_message(decision, decision.limit, seen)
    return Finding(ConditionType.SCALING_LIMITED, True, _LIMITS[decision.limit], message)


def _skew_message(skew: Skew) -> str:
    return (
        f"Of {skew.pods} pods that answer, {skew.pod} has far more to do than the others, which"
        " more replicas do not mend. Clients that keep a connection stay with its pod: have them"
        " balance over the headless Service, or end connections now and then; or the pod's node is"
        " slower than the others."
    )


def _limit_message(decision: Decision, limit: Limit, seen: Seen) -> str:
    scaling, latency = seen.agent.spec.scaling, seen.agent.spec.slo.latency
    needed = "1 replica" if decision.needed == 1 else f"{decision.needed} replicas"
    match limit:
        case Limit.AT_MAXIMUM:
            return f"The load needs {needed}; spec.scaling.maxReplicas is {scaling.max_replicas}."
        case Limit.AT_MINIMUM:
            return f"The load needs {needed} only; {_lower_bound(seen)}."
        case Limit.INFEASIBLE:
            return (
                f"No number of replicas answers {latency.objective_percent} % within"
                f" {latency.threshold_milliseconds} ms: a request that is alone takes longer."
                " Replicas follow the load so that the queue does not grow. Raise"
                " spec.slo.latency.thresholdMilliseconds, or use a faster model or runtime."
            )
        case Limit.UNSCHEDULABLE:
            return (
                f"The load needs {needed}, and no node takes the next pod. `kubectl get pods`"
                " shows which resource is missing."
            )


def _lower_bound(seen: Seen) -> str:
    """What keeps the number from being lower."""
    scaling = seen.agent.spec.scaling
    scheduled = seen.scaling.scheduled if seen.scaling is not None else None
    if scheduled is None or scheduled.event.min_replicas <= scaling.min_replicas:
        return f"spec.scaling.minReplicas is {scaling.min_replicas}"
    asked = scheduled.event.min_replicas
    return f"spec.scaling.schedule asks for {asked} ({told(scheduled)})"


def scaling_status(seen: Seen, now: datetime) -> ScalingStatus | None:
    """The decision that changed the number last; None where the number is set by hand."""
    if seen.agent.spec.scaling.mode is ScalingMode.MANUAL:
        return None
    before, decision = seen.status.scaling, _decision(seen)
    if decision is None:
        return before or _initial(seen)
    capacity = _capacity(before, decision)
    if before is not None and before.desired == decision.desired:
        learned = before.reason in (Why.NO_DATA, Why.INITIAL) and decision.blind is None
        if not learned:
            mode = seen.agent.spec.scaling.mode
            return before.model_copy(update={"capacity_per_replica": capacity, "mode": mode})
    moved = before is None or before.desired != decision.desired
    return ScalingStatus(
        mode=seen.agent.spec.scaling.mode,
        desired=decision.desired,
        capacity_per_replica=capacity,
        reason=decision.reason,
        message=decision.message,
        last_scale_time=timestamp(now) if moved or before is None else before.last_scale_time,
    )


def _initial(seen: Seen) -> ScalingStatus:
    """Written down before the first decision: what somebody changes in a Deployment is drift."""
    return ScalingStatus(
        mode=seen.agent.spec.scaling.mode,
        desired=wanted_replicas(seen),
        reason=Why.INITIAL,
        message="Nothing has been decided yet.",
    )


def _capacity(before: ScalingStatus | None, decision: Decision) -> int | None:
    told = before.capacity_per_replica if before is not None else None
    if decision.capacity is None:
        return told
    if told and abs(decision.capacity - told) <= max(1.0, _CAPACITY_CHANGE * told):
        return told
    return int(decision.capacity)


def slo_status(seen: Seen, promise: str) -> SloStatus:
    before = seen.status.slo or SloStatus()
    if seen.scaling is None:
        return before.model_copy(update={"promise": promise})
    judgement, signal = seen.scaling.slo, seen.scaling.latency_signal
    return SloStatus(
        promise=promise,
        verdict=_VERDICTS[judgement.verdict][1],
        error_budget_left_percent=judgement.budget_left_percent,
        observed_hours=judgement.observed_hours,
        latency_signal=signal if signal is not None else before.latency_signal,
    )


def _decision(seen: Seen) -> Decision | None:
    return seen.scaling.decision if seen.scaling is not None else None


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
