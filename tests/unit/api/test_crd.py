"""The CRD as a whole: bounded, described, and never stricter than what the operator can read."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlagent.api.conditions import MEANING, ConditionType, Reason
from dlagent.api.crd import custom_resource_definition, resource_schema
from dlagent.api.types import DLAgentSpec
from dlagent.domain.artifact.summary import FailureReason

Json = dict[str, Any]
SCHEMA = resource_schema()
SPEC = SCHEMA["properties"]["spec"]
STATUS = SCHEMA["properties"]["status"]


def nodes(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    """Every schema below, with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for key, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if key in schema:
            yield from nodes(schema[key], f"{path}{suffix}")


NODES = [*nodes(SPEC, "spec"), *nodes(STATUS, "status")]


def test_every_field_has_a_description_for_kubectl_explain() -> None:
    bare = [
        path
        for path, schema in NODES
        if not path.endswith(("]", "*")) and not schema.get("description")
    ]
    assert [] == bare


@pytest.mark.parametrize("word", ["$ref", "anyOf", "title", "exclusiveMinimum", "nullable"])
def test_nothing_that_a_structural_schema_may_not_have(word: str) -> None:
    assert [] == [path for path, schema in NODES if word in schema]


def test_every_list_says_its_type() -> None:
    lists = [schema for _, schema in NODES if schema.get("type") == "array"]
    assert all(schema["x-kubernetes-list-type"] in ("atomic", "map", "set") for schema in lists)


def test_no_floats() -> None:
    assert [] == [path for path, schema in NODES if schema.get("type") == "number"]


def test_every_rule_tells_the_remedy() -> None:
    rules = [
        rule for _, schema in NODES for rule in schema.get("x-kubernetes-validations", [])
    ] + SCHEMA["x-kubernetes-validations"]
    assert 15 < len(rules)
    assert [] == [rule["message"] for rule in rules if len(rule["message"]) < 20]


def test_the_names_and_subresources() -> None:
    spec = custom_resource_definition()["spec"]
    (version,) = spec["versions"]

    assert ["dla"] == spec["names"]["shortNames"]
    assert ["all"] == spec["names"]["categories"]
    assert {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    } == version["subresources"]["scale"]


def test_each_condition_is_explained() -> None:
    assert set(ConditionType) == set(MEANING)


def test_a_builds_failures_are_reasons_of_conditions() -> None:
    assert set() == set(map(str, FailureReason)) - set(map(str, Reason))


def values(schema: Json) -> st.SearchStrategy[Any]:
    """Values that the schema admits (rules aside)."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=3))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        lowest = schema.get("minimum", -(2**31))
        return st.integers(lowest, 2**31 - 1) | _matching(schema)
    match schema["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "string" if "pattern" in schema:
            return _matching(schema)
        case "string":
            return st.text(
                st.characters(exclude_categories=["Cs"]),
                min_size=schema.get("minLength", 0),
                max_size=min(12, schema["maxLength"]),
            )
        case "array":
            return st.lists(
                values(schema["items"]),
                min_size=schema.get("minItems", 0),
                max_size=max(2, schema.get("minItems", 0)),
            )
        case "object" if "additionalProperties" in schema:
            return st.dictionaries(
                st.text(max_size=5), values(schema["additionalProperties"]), max_size=2
            )
    return _objects(schema)


def _matching(schema: Json) -> st.SearchStrategy[str]:
    longest: int = schema["maxLength"]
    pattern: str = schema["pattern"]
    return st.from_regex(pattern, fullmatch=True).filter(lambda text: len(text) <= longest)


def _objects(schema: Json) -> st.SearchStrategy[Any]:
    fields = {name: values(field) for name, field in schema.get("properties", {}).items()}
    required = set(schema.get("required", []))
    return st.fixed_dictionaries(
        {name: field for name, field in fields.items() if name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(spec=values(SPEC))
def test_the_operator_reads_whatever_the_schema_admits(spec: Json) -> None:
    DLAgentSpec.model_validate(spec)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(spec=values(SPEC))
def test_a_field_of_a_newer_version_is_ignored(spec: Json) -> None:
    known = DLAgentSpec.model_validate(spec)

    assert known == DLAgentSpec.model_validate({**spec, "invented": {"later": True}})
