"""Python steps of an agent: which it has, where their scripts are, and what is between them.

Read by the build, by dlagent.reconcile.gather and by dlagent.domain.rollout.decide.
"""

import json
from collections.abc import Sequence

from dlagent.api.types import (
    MOST_SCRIPT_BYTES,
    ActStep,
    ConfigMapKey,
    DLAgentSpec,
    PerceiveStep,
    PythonStep,
)
from dlagent.domain.artifact.request import BuildRequest

PERCEIVE_FIELD = "spec.perceive[0].python"


def front_step(perceive: Sequence[PerceiveStep] | None) -> PythonStep | None:
    """The Python step that takes what clients send; admission lets none stand elsewhere."""
    return perceive[0].python if perceive else None


def back_step(act: Sequence[ActStep] | None) -> PythonStep | None:
    """The Python step that gives what clients get; admission lets none stand elsewhere."""
    return act[-1].python if act else None


def act_field(act: Sequence[ActStep] | None) -> str:
    """Where the Python step of act stands in the spec."""
    return f"spec.act[{len(act or []) - 1}].python"


def script_references(spec: DLAgentSpec) -> dict[str, ConfigMapKey]:
    """Where the scripts are, by the fields of the spec that say so."""
    front, back = front_step(spec.perceive), back_step(spec.act)
    found = {}
    if front is not None:
        found[PERCEIVE_FIELD] = front.config_map_ref
    if back is not None:
        found[act_field(spec.act)] = back.config_map_ref
    return found


def script_size_problem(text: str) -> str | None:
    """Why a script is too large for a build's request, for a person; None where it is not.

    It counts as JSON writes it, which is how it travels.
    """
    size = len(json.dumps(text, ensure_ascii=False).encode())
    if size <= MOST_SCRIPT_BYTES:
        return None
    return (
        f"has {size:,} bytes (as JSON), at most {MOST_SCRIPT_BYTES:,} are possible; put what is"
        " large into an image that builds and serves"
    )


def network_request(request: BuildRequest) -> BuildRequest:
    """The request for what is between the Python steps: the network with its other steps.

    What the Python step in front makes stands for what clients send. The request itself where there
    are no Python steps.
    """
    front, back = front_step(request.perceive), back_step(request.act)
    update: dict[str, object] = {}
    if front is not None:
        update |= {"inputs": front.outputs, "perceive": request.perceive[1:]}
    if back is not None:
        update["act"] = request.act[:-1]
    return request.model_copy(update=update)
