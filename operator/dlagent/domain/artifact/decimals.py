"""Decimals of the API: one text for each number, however it was written, for keys."""

import decimal


def canonical_decimal(value: str | int) -> str:
    """One text for one number: "0.5", "0.50" and ".5" are the same."""
    number = decimal.Decimal(value)
    if number.is_zero():
        return "0"
    # The default context would round to 28 digits and so make different numbers the same.
    context = decimal.Context(
        prec=len(str(value)) + 1, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX
    )
    return str(number.normalize(context))
