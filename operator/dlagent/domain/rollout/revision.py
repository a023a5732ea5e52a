"""What one revision is: the name of all that decides how an artifact is served.

Named by what the user asked for and by the artifact, never by what this version of the operator
renders from it: a new operator or other settings must not roll anything by themselves.
"""

import hashlib
import json

from dlagent.domain.artifact.decimals import canonical_decimal
from dlagent.domain.build.artifact import Artifact
from dlagent.domain.rollout.seen import Agent


def revision_id(artifact: Artifact, agent: Agent) -> str:
    """16 hexadecimal digits. A new artifact, serving fields, latency or restart make another."""
    serving = agent.spec.serving
    latency = agent.spec.slo.latency
    # The promise only counts where it decides something (see serving_plan).
    settled = serving.max_batch_size is not None and serving.instances_per_replica is not None
    inputs = {
        # Pods of an earlier agent of the name may be up for a while: they are not this one's.
        "agent": agent.uid,
        "artifact": artifact.key,
        "serving": serving.model_dump(mode="json", by_alias=True, exclude_none=True),
        "threshold": None if settled else latency.threshold_milliseconds,
        "objective": None if settled else canonical_decimal(latency.objective_percent),
        "restartedAt": agent.restarted_at,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
