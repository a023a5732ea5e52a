"""How many replicas a revision is to have, by mode. Read by the roll-out and by the status.

What the scaler decided is in `Seen.scaling`, once it has decided for the present spec. Until then,
as after a restart of the operator, the number is carried over.
"""

from dlagent.api.status import ScalingStatus
from dlagent.api.types import ScalingMode
from dlagent.domain.rollout.seen import Deployment, Seen
from dlagent.domain.status.model import serving_revision


def wanted_replicas(seen: Seen) -> int:
    """The number for the revision that serves, and for the one that is to take over from it."""
    spec = seen.agent.spec
    if spec.scaling.mode is ScalingMode.MANUAL:
        return spec.replicas if spec.replicas is not None else 1
    if spec.scaling.mode is ScalingMode.ADVISE:
        return _present(seen) or spec.scaling.min_replicas
    return _bounded(seen, _decided(seen))


def required_replicas(seen: Seen) -> int:
    """How many must be ready for the agent to be Ready."""
    wanted = wanted_replicas(seen)
    scaling = seen.agent.spec.scaling
    return wanted if scaling.mode is ScalingMode.MANUAL else min(wanted, scaling.min_replicas)


def _decided(seen: Seen) -> int:
    if seen.scaling is not None and seen.scaling.decision is not None:
        return seen.scaling.decision.desired
    told = seen.status.scaling or ScalingStatus()
    return carried_over(seen.agent.spec.scaling.mode, told.desired, told.mode, _present(seen))


def carried_over(mode: ScalingMode, told: int | None, told_in: str | None, present: int) -> int:
    """What a decision goes on from, where the one before it is not known.

    `told` is the number in the status, decided in mode `told_in`; `present` is how many are asked
    for. An operator that died between writing the one and the other must not lower what is there.
    Advice is not followed because the mode has become Auto.
    """
    if told is None or (told_in == ScalingMode.ADVISE) != (mode is ScalingMode.ADVISE):
        return present
    return told if mode is ScalingMode.ADVISE else max(told, present)


def _present(seen: Seen) -> int:
    """As many as there are now, whoever asked for them; at first minReplicas.

    What somebody deleted comes back as large as the status remembers it.
    """
    deployment = living_deployment(seen) or next(iter(seen.deployments), None)
    if deployment is None or not deployment.scaled:
        return _bounded(seen, seen.status.replicas or 0)
    return deployment.replicas


def _bounded(seen: Seen, replicas: int) -> int:
    scaling = seen.agent.spec.scaling
    return min(max(replicas, scaling.min_replicas), scaling.max_replicas)


def living_deployment(seen: Seen) -> Deployment | None:
    """The Deployment whose pods answer: what the Service names, else what it named last."""
    candidates = (seen.selected, serving_revision(seen.status))
    found = (seen.deployment(name) for name in candidates)
    return next((item for item in found if item is not None and not item.deleting), None)
