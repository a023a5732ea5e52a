"""What all API types are made of: the base model, bounded scalars, and rules for the apiserver.

Bounds are on every string, list and map: the apiserver refuses a CRD whose rules could cost too
much on the largest value that the schema admits.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

LABEL_VALUE_PATTERN = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
QUALIFIED_NAME_PATTERN = (
    r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
DNS_LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DNS_SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
DECIMAL_PATTERN = r"^-?([0-9]+|[0-9]*\.[0-9]+)([eE][-+]?[0-9]{1,2})?$"
QUANTITY_PATTERN = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{1,2})?$"


class ApiModel(BaseModel):
    """Base of all API types: frozen, camelCase in JSON, unknown fields ignored.

    The text below a field is its description: in the CRD, in `kubectl explain`, in the reference.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True)
class Rule:
    """A CEL expression that must hold, and what a person is told where it does not.

    `field` is the path below the object that carries the rule that an error is shown at, such as
    ".replicas". The apiserver alone checks rules; pydantic does not.
    """

    cel: str
    message: str
    field: str | None = None

    def as_schema(self) -> dict[str, Any]:
        schema = {"rule": self.cel, "message": self.message}
        return schema if self.field is None else schema | {"fieldPath": self.field}


def checked(*rules: Rule, **keywords: str) -> dict[str, Any]:
    """For json_schema_extra: rules, and Kubernetes' extensions such as list_type="map"."""
    extensions = {
        f"x-kubernetes-{name.replace('_', '-')}": value for name, value in keywords.items()
    }
    return extensions | (
        {"x-kubernetes-validations": [r.as_schema() for r in rules]} if rules else {}
    )


def exactly_one(*fields: str, remedy: str) -> Rule:
    """That one of the object's fields is set and no other."""
    present = ", ".join(f"has(self.{name})" for name in fields)
    return Rule(
        cel=f"[{present}].exists_one(present, present)",
        message=f"exactly one of {', '.join(fields)} must be set; {remedy}",
    )


def map_by(key: str) -> dict[str, Any]:
    """For json_schema_extra of a list of objects, of which no two have the same `key`."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


INT_OR_STRING = {"x-kubernetes-int-or-string": True}
# Objects of the core API that are handed on as they are; the apiserver checks them in the pod.
OPAQUE = {"x-kubernetes-preserve-unknown-fields": True}


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _named(max_length: int, pattern: str) -> Any:
    """A name: the apiserver alone checks its pattern.

    Where it changes, objects that are stored already keep what they have, and must stay readable.
    """
    extra: dict[str, Any] = {"pattern": pattern}
    return Field(max_length=max_length, json_schema_extra=extra)


# A decimal in the API is a string (or a whole number): Kubernetes forbids floats.
Decimal = Annotated[
    Annotated[str, Field(max_length=32, pattern=DECIMAL_PATTERN)] | int,
    Field(json_schema_extra=INT_OR_STRING),
]
# A quantity as Kubernetes writes them: "500m", "2Gi", 1. Read as text.
Quantity = Annotated[
    Annotated[str, Field(max_length=32, pattern=QUANTITY_PATTERN)],
    BeforeValidator(_as_text),
    Field(json_schema_extra={**INT_OR_STRING, "minimum": 0}),
]
ImageName = Annotated[str, Field(min_length=1, max_length=512)]
DnsLabel = Annotated[str, _named(63, DNS_LABEL_PATTERN)]
DnsSubdomain = Annotated[str, _named(253, DNS_SUBDOMAIN_PATTERN)]
QualifiedName = Annotated[str, _named(317, QUALIFIED_NAME_PATTERN)]
LabelValue = Annotated[str, _named(63, LABEL_VALUE_PATTERN)]
Labels = Annotated[dict[str, LabelValue], Field(max_length=32)]
Annotations = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)]
