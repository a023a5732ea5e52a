"""How many replicas a revision is to have, by mode. Read by the roll-out and by the status.

What the scaler decided is in `Seen.scaling`, once it has decided. Until then, as after a restart of
the operator, the number stays what it was.
"""

from dlagent.api.types import ScalingMode
from dlagent.domain.rollout.seen import Deployment, Seen
from dlagent.domain.status.model import serving_revision


def wanted_replicas(seen: Seen) -> int:
    """The number for the revision that serves, and for the one that is to take over from it."""
    spec = seen.agent.spec
    if spec.scaling.mode is ScalingMode.MANUAL:
        return spec.replicas if spec.replicas is not None else 1
    if spec.scaling.mode is ScalingMode.ADVISE:
        return _present(seen)
    return _bounded(seen, _decided(seen))


def required_replicas(seen: Seen) -> int:
    """How many must be ready for the agent to be Ready."""
    wanted = wanted_replicas(seen)
    scaling = seen.agent.spec.scaling
    return wanted if scaling.mode is ScalingMode.MANUAL else min(wanted, scaling.min_replicas)


def _decided(seen: Seen) -> int:
    if seen.scaling is not None and seen.scaling.decision is not None:
        return seen.scaling.decision.desired
    told = seen.status.scaling
    return told.desired if told is not None and told.desired is not None else _present(seen)


def _present(seen: Seen) -> int:
    """As many as there are now, whoever asked for them; at first minReplicas."""
    deployment = living_deployment(seen) or next(iter(seen.deployments), None)
    if deployment is None or not deployment.scaled:
        return _bounded(seen, 0)
    return deployment.replicas


def _bounded(seen: Seen, replicas: int) -> int:
    scaling = seen.agent.spec.scaling
    return min(max(replicas, scaling.min_replicas), scaling.max_replicas)


def living_deployment(seen: Seen) -> Deployment | None:
    """The Deployment whose pods answer: what the Service names, else what it named last."""
    candidates = (seen.selected, serving_revision(seen.status))
    found = (seen.deployment(name) for name in candidates)
    return next((item for item in found if item is not None and not item.deleting), None)
