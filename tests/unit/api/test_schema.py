"""Pydantic's schema becomes a structural one, and what has no bound is refused by its path."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from dlagent.api.base import ApiModel, Decimal, Quantity, checked, exactly_one
from dlagent.api.schema import UnboundedError, structural_schema

Name = Annotated[str, Field(max_length=5)]


class Inner(ApiModel):
    """An inner object."""

    name: Name
    """Its
    name."""


class Model(ApiModel):
    """All shapes there are."""

    inner: Inner
    """The inner one, as this field says."""
    optional: Inner | None = None
    number: Annotated[int, Field(ge=1, le=9)] = 3
    large: Annotated[int, Field(ge=0, le=2**40)] | None = None
    decimal: Decimal = "99"
    quantities: Annotated[dict[str, Quantity], Field(max_length=2)] | None = None
    names: Annotated[list[Name], Field(max_length=2)] = []
    flag: bool = False


SCHEMA = structural_schema(Model, "spec")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        pytest.param(
            "inner",
            {
                "type": "object",
                "description": "The inner one, as this field says.",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 5, "description": "Its name."}
                },
            },
            id="a reference is resolved and the field's description wins",
        ),
        pytest.param(
            "optional",
            {
                "type": "object",
                "description": "An inner object.",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 5, "description": "Its name."}
                },
            },
            id="null is no option and no default",
        ),
        pytest.param(
            "number",
            {"type": "integer", "format": "int32", "minimum": 1, "maximum": 9, "default": 3},
            id="a default that is a plain value stays",
        ),
        pytest.param(
            "large",
            {"type": "integer", "format": "int64", "minimum": 0, "maximum": 2**40},
            id="more than 32 bits",
        ),
        pytest.param(
            "names",
            {
                "type": "array",
                "maxItems": 2,
                "x-kubernetes-list-type": "atomic",
                "items": {"type": "string", "maxLength": 5},
            },
            id="a list says its type, and its default is left out",
        ),
        pytest.param("flag", {"type": "boolean", "default": False}, id="a switch"),
    ],
)
def test_structural(field: str, expected: dict[str, Any]) -> None:
    assert expected == SCHEMA["properties"][field]


def test_decimals_and_quantities_are_numbers_or_bounded_text() -> None:
    decimal = SCHEMA["properties"]["decimal"]
    quantity = SCHEMA["properties"]["quantities"]["additionalProperties"]

    for schema in (decimal, quantity):
        assert "type" not in schema
        assert True is schema["x-kubernetes-int-or-string"]
        assert 32 == schema["maxLength"]
        assert schema["pattern"].startswith("^")
    assert "99" == decimal["default"]


class NoLength(BaseModel):
    names: Annotated[list[str], Field(max_length=3)]


class NoItems(BaseModel):
    names: list[Name]


class NoEnd(BaseModel):
    count: Annotated[int, Field(ge=0)]


class NoSize(BaseModel):
    labels: dict[str, Name]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param(NoLength, r"spec\.names\[\]: no maxLength", id="text"),
        pytest.param(NoItems, r"spec\.names: no maxItems", id="a list"),
        pytest.param(NoEnd, r"spec\.count: no maximum", id="a number"),
        pytest.param(NoSize, r"spec\.labels: no maxProperties", id="a map"),
    ],
)
def test_what_has_no_bound_is_refused(model: type[BaseModel], message: str) -> None:
    with pytest.raises(UnboundedError, match=message):
        structural_schema(model, "spec")


def test_exactly_one_names_the_choices() -> None:
    (rule,) = checked(exactly_one("a", "b", remedy="pick one"))["x-kubernetes-validations"]

    assert "[has(self.a), has(self.b)].exists_one(present, present)" == rule["rule"]
    assert "exactly one of a, b must be set; pick one" == rule["message"]
