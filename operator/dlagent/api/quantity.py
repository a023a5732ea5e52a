"""Kubernetes' quantities, such as "500m" and "2Gi", as numbers."""

from decimal import Decimal, InvalidOperation

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}


def quantity(text: object) -> Decimal | None:
    """A Kubernetes quantity as a number; None where it is not one.

    >>> quantity("1500m") == quantity("1.5")
    True
    """
    value = str(text)
    number = value.rstrip("numkKMGTPEi")
    factor = _SUFFIXES.get(value[len(number) :])
    try:
        found = None if factor is None else Decimal(number) * factor
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None
