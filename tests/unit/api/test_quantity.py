"""Quantities as Kubernetes writes them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.api.quantity import quantity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", Decimal(1)),
        ("250m", Decimal("0.25")),
        ("1Ki", Decimal(1024)),
        ("2G", Decimal(2) * 10**9),
        (3, Decimal(3)),
        ("x", None),
        ("", None),
        ("1Kii", None),
    ],
)
def test_quantity(text: object, expected: Decimal | None) -> None:
    assert quantity(text) == expected


@given(st.integers(min_value=0, max_value=10**9))
def test_a_quantity_in_milli_units_is_the_same_number(value: int) -> None:
    assert quantity(f"{value}000m") == quantity(value)
