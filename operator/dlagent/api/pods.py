"""What a DLAgent says about its pods, in the words of Kubernetes' core API.

Tolerations, environment and the like are handed on to the pods as they are written, so Python has
them as plain dicts; their schemas are here so that `kubectl explain` and the apiserver know them.
"""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from dlagent.api.base import (
    DNS_SUBDOMAIN_PATTERN,
    LABEL_VALUE_PATTERN,
    OPAQUE,
    ApiModel,
    DnsSubdomain,
    Labels,
    Quantity,
    Rule,
    checked,
    map_by,
)

Json = dict[str, Any]


def _text(description: str, max_length: int, **keywords: Any) -> Json:
    return {"type": "string", "description": description, "maxLength": max_length, **keywords}


def _choice(description: str, *values: str) -> Json:
    return {"type": "string", "description": description, "enum": list(values)}


def _object(description: str, properties: Json, required: list[str], *rules: Rule) -> Json:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        **({"required": required} if required else {}),
        **checked(*rules),
    }


def _key_of(kind: str) -> Json:
    return _object(
        f"A key of a {kind} in the agent's namespace.",
        {
            "name": _text(f"Name of the {kind}.", 253, pattern=DNS_SUBDOMAIN_PATTERN),
            "key": _text("The key.", 253, minLength=1),
            "optional": {"type": "boolean", "description": "Whether it may be missing."},
        },
        ["name", "key"],
    )


_SECRET_NAME = _object(
    "A Secret in the agent's namespace.",
    {"name": _text("Name of the Secret.", 253, pattern=DNS_SUBDOMAIN_PATTERN)},
    ["name"],
)

_TOLERATION = _object(
    "A taint of nodes that the pods tolerate.",
    {
        "key": _text("Key of the taint; absent with operator Exists means all.", 317),
        "operator": _choice("How value is compared. Default: Equal.", "Equal", "Exists"),
        "value": _text("Value of the taint.", 63, pattern=LABEL_VALUE_PATTERN),
        "effect": _choice(
            "Effect of the taint; absent means all.", "NoSchedule", "PreferNoSchedule", "NoExecute"
        ),
        "tolerationSeconds": {
            "type": "integer",
            "description": "How long a NoExecute taint is tolerated; absent means for ever.",
            "minimum": 0,
            "maximum": 2**31 - 1,
        },
    },
    [],
    Rule(
        "!has(self.operator) || self.operator != 'Exists' || !has(self.value)",
        "must not be set with operator Exists; remove it, or set operator: Equal",
        ".value",
    ),
    Rule(
        "has(self.key) || (has(self.operator) && self.operator == 'Exists')",
        "must be set; only operator: Exists tolerates every taint without one",
        ".key",
    ),
    Rule(
        "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        "needs effect: NoExecute",
        ".tolerationSeconds",
    ),
)

_VARIABLE = _object(
    "An environment variable.",
    {
        "name": _text("Its name.", 256, pattern="^[-._a-zA-Z][-._a-zA-Z0-9]*$"),
        "value": _text("Its value.", 8192),
        "valueFrom": _object(
            "Where its value comes from.",
            {
                "configMapKeyRef": _key_of("ConfigMap"),
                "secretKeyRef": _key_of("Secret"),
                "fieldRef": _object(
                    "A field of the pod.",
                    {"fieldPath": _text("Such as metadata.name.", 253, minLength=1)},
                    ["fieldPath"],
                ),
            },
            [],
            Rule(
                "[has(self.configMapKeyRef), has(self.secretKeyRef), has(self.fieldRef)]"
                ".exists_one(present, present)",
                "exactly one of configMapKeyRef, secretKeyRef, fieldRef must be set",
            ),
        ),
    },
    ["name"],
    Rule(
        "!has(self.value) || !has(self.valueFrom)",
        "value and valueFrom exclude each other; remove one",
    ),
)

_SPREAD = _object(
    "How evenly the pods are spread over nodes or zones.",
    {
        "maxSkew": {
            "type": "integer",
            "description": "By how many pods two domains may differ.",
            "minimum": 1,
            "maximum": 1000,
        },
        "topologyKey": _text("The node label that names a domain.", 317, minLength=1),
        "whenUnsatisfiable": _choice(
            "What happens to a pod that does not fit.", "DoNotSchedule", "ScheduleAnyway"
        ),
        "labelSelector": {"type": "object", "description": "The pods that count.", **OPAQUE},
        "minDomains": {
            "type": "integer",
            "description": "Fewest domains, with DoNotSchedule.",
            "minimum": 1,
            "maximum": 1000,
        },
        "nodeAffinityPolicy": _choice("Whether node affinity counts.", "Honor", "Ignore"),
        "nodeTaintsPolicy": _choice("Whether taints of nodes count.", "Honor", "Ignore"),
        "matchLabelKeys": {
            "type": "array",
            "description": "Labels of the pod whose values are added to labelSelector.",
            "maxItems": 8,
            "x-kubernetes-list-type": "atomic",
            "items": {"type": "string", "maxLength": 317},
        },
    },
    ["maxSkew", "topologyKey", "whenUnsatisfiable"],
)

_AFFINITY = {
    "type": "object",
    "properties": {
        name: {"type": "object", "description": f"As a pod's affinity.{name}.", **OPAQUE}
        for name in ("nodeAffinity", "podAffinity", "podAntiAffinity")
    },
}


def _list_of(item: Json, max_items: int, **keywords: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "array", "items": item, "maxItems": max_items, **keywords})


Tolerations = Annotated[list[Json], _list_of(_TOLERATION, 32)]
ImagePullSecrets = Annotated[list[Json], _list_of(_SECRET_NAME, 8, **map_by("name"))]
Environment = Annotated[list[Json], _list_of(_VARIABLE, 64, **map_by("name"))]
TopologySpread = Annotated[list[Json], _list_of(_SPREAD, 8)]
Affinity = Annotated[Json, WithJsonSchema(_AFFINITY)]

Amounts = Annotated[dict[str, Quantity], Field(max_length=16)]


class Resources(ApiModel):
    """Compute resources of a container."""

    model_config = {
        "json_schema_extra": checked(
            Rule(
                "!has(self.requests) || !has(self.limits) || self.requests.all(name, "
                "!(name in self.limits) || quantity(string(self.requests[name]))"
                ".compareTo(quantity(string(self.limits[name]))) <= 0)",
                "each of requests must be at most its limit; raise limits or lower requests",
                ".requests",
            )
        )
    }

    requests: Amounts | None = None
    """What is set aside for the container, such as {cpu: "1", memory: 2Gi}."""
    limits: Amounts | None = None
    """The most that the container may use; above limits.memory it is killed."""


class PodPlacement(ApiModel):
    """What build and serving pods have in common, in the words of the core API."""

    resources: Resources | None = None
    """Compute resources of the container."""
    node_selector: Labels | None = None
    """Labels that a node must have for the pods to run on it."""
    tolerations: Tolerations | None = None
    """Taints of nodes that the pods tolerate."""
    priority_class_name: DnsSubdomain | None = None
    """PriorityClass of the pods."""
    runtime_class_name: DnsSubdomain | None = None
    """RuntimeClass of the pods."""
    image_pull_secrets: ImagePullSecrets | None = None
    """Secrets of the agent's namespace by which images are pulled."""
