"""What one revision is: the name of all that decides how an artifact is served.

Named by what the user asked for and by the artifact, never by what this version of the operator
renders from it: a new operator or other settings must not roll anything by themselves.
"""

import hashlib
import json

from dlagent.domain.build.artifact import Artifact
from dlagent.domain.rollout.seen import Agent


def revision_id(artifact: Artifact, agent: Agent) -> str:
    """16 hexadecimal digits. A new artifact, serving fields, latency or restart make another."""
    serving = agent.spec.serving
    # The threshold only counts where it decides something: the batch size (see serving_plan).
    threshold = agent.spec.slo.latency.threshold_milliseconds
    inputs = {
        # Pods of an earlier agent of the name may be up for a while: they are not this one's.
        "agent": agent.uid,
        "artifact": artifact.key,
        "serving": serving.model_dump(mode="json", by_alias=True, exclude_none=True),
        "threshold": threshold if serving.max_batch_size is None else None,
        "restartedAt": agent.restarted_at,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
