"""A step in the user's own Python, whose script is in a ConfigMap."""

from typing import Annotated

from pydantic import Field

from dlagent.api.base import ApiModel, DnsSubdomain, Rule
from dlagent.api.tensors import Tensors

# A request for a build is one environment variable, which Linux limits to 128 KiB; it may hold the
# scripts of both ends, and labels.
MOST_SCRIPT_BYTES = 32_768


class ConfigMapKey(ApiModel):
    """A key of a ConfigMap in the agent's namespace."""

    name: DnsSubdomain
    """The ConfigMap's name."""
    key: Annotated[
        str,
        Field(min_length=1, max_length=253, json_schema_extra={"pattern": r"^[-._a-zA-Z0-9]+$"}),
    ]
    """The key, such as perceive.py."""


class PythonStep(ApiModel):
    """Calls the function `step` of a script: docs/how-to/steps.md says how it is written.

    The script runs in the build and in the serving pods: it must be trusted as their images are.
    """

    config_map_ref: ConfigMapKey
    """Where the script is, at most 32 KiB. A change of it makes a new artifact."""
    outputs: Tensors
    """What the script makes, without the batch axis."""


PERCEIVE_RULES = (
    Rule(
        "!has(self.python) || !has(self.input)",
        "has no use beside python, which takes all inputs; remove it",
        ".input",
    ),
    Rule(
        "!has(self.python) || self.python.outputs.all(tensor, tensor.dataType != 'BYTES')",
        "must not have outputs of the type BYTES, since a network takes numbers; make numbers of"
        " the text in the script",
        ".python",
    ),
)
ACT_RULES = (
    Rule(
        "!has(self.python) || !has(self.output)",
        "has no use beside python, which takes all outputs; remove it",
        ".output",
    ),
)
FIRST_RULE = Rule(
    "self.filter(step, has(step.python)).size() <= (size(self) > 0 && has(self[0].python) ? 1 : 0)",
    "python must be the first step, and the only one of its kind; move it there, or do in the"
    " script what comes before it",
)
LAST_RULE = Rule(
    "self.filter(step, has(step.python)).size() <="
    " (size(self) > 0 && has(self[size(self) - 1].python) ? 1 : 0)",
    "python must be the last step, and the only one of its kind; move it there, or do in the"
    " script what comes after it",
)
