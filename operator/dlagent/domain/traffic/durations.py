"""Durations as people write them: `500ms`, `60s`, `11520m`, `24h`, `7d`, `1h30m`."""

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = r"(\d+(?:\.\d+)?)(ms|s|m|h|d)"


class DurationError(ValueError):
    """A text that is no duration; the message says how one is written."""


def parse_duration(text: str) -> float:
    """Seconds. Raises DurationError."""
    if not re.fullmatch(f"(?:{_PART})+", text) and text != "0":
        raise DurationError(f"{text!r} is no duration: write 500ms, 60s, 90m, 24h, 7d or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, text))
    if not math.isfinite(seconds):
        raise DurationError(f"{text!r} is too long")
    return seconds
