"""The CustomResourceDefinition of DLAgent, from the types. Called by dlagent.api.generate."""

from typing import Any

from dlagent.api.base import Rule
from dlagent.api.schema import structural_schema
from dlagent.api.status import DLAgentStatus
from dlagent.api.types import GROUP, KIND, MAX_NAME_LENGTH, PLURAL, VERSION, DLAgentSpec

Json = dict[str, Any]

NAME_RULE = Rule(
    cel=(
        f"size(self.metadata.name) <= {MAX_NAME_LENGTH} &&"
        " self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
    ),
    message=(
        f"metadata.name must have at most {MAX_NAME_LENGTH} of a-z, 0-9 and '-', start with a"
        " letter and end with a letter or digit, since a Service is named after it; choose"
        " another name"
    ),
)


def _condition(type_: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{type_}")].{field}'


# Name, type, path, and the priority: 0 is always shown, 1 only by `-o wide`.
COLUMNS = (
    ("Ready", "string", _condition("Ready", "status"), 0),
    ("Reason", "string", _condition("Ready", "reason"), 0),
    ("Artifact", "string", _condition("ArtifactReady", "reason"), 0),
    ("Precision", "string", ".status.artifact.precision", 0),
    ("Replicas", "integer", ".status.readyReplicas", 0),
    ("SLO", "string", ".status.slo.promise", 0),
    ("SLOMet", "string", _condition("SLOMet", "status"), 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Accuracy", "string", ".status.artifact.value", 1),
    ("Speedup", "string", ".status.artifact.speedup", 1),
    ("Engine", "string", ".status.artifact.engine", 1),
    ("URL", "string", ".status.serving.url", 1),
    ("Message", "string", _condition("Ready", "message"), 1),
)


def resource_schema() -> Json:
    """The schema of a whole DLAgent."""
    return {
        "type": "object",
        "description": (
            "A deep-learning service: a trained network, what comes before and after it, and how"
            " fast it must answer."
        ),
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(DLAgentSpec, "spec"),
            "status": structural_schema(DLAgentStatus, "status"),
        },
        "required": ["spec"],
        "x-kubernetes-validations": [NAME_RULE.as_schema()],
    }


def custom_resource_definition() -> Json:
    """The complete manifest."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": resource_schema()},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": name, "type": type_, "jsonPath": path, "priority": priority}
            for name, type_, path, priority in COLUMNS
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["dla"],
                "categories": ["all"],
            },
            "versions": [version],
        },
    }
