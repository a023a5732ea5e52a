"""Times and shares as people read them: in the table, the live view and the picture."""


def milliseconds(seconds: float | None) -> str:
    """`3.4 ms`, `340 ms`, `3.4 s`; a dash where there is none."""
    if seconds is None:
        return "-"
    if seconds >= 1:
        return f"{seconds:.3g} s"
    value = seconds * 1000
    return f"{value:.0f} ms" if value >= 99.5 else f"{value:.2g} ms"


def clock(seconds: float) -> str:
    """`3:05`, or `1:03:05` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percentage(share: float | None) -> str:
    """`99.12 %`, cut and not rounded, so that 100 % is said of all alone."""
    if share is None:
        return "-"
    hundredths = int(share * 10_000 + 1e-6)  # 0.57 is a little less than 57 hundredths
    return f"{hundredths / 100:.2f} %" if share < 1 else "100 %"


def failures(kinds: dict[str, int]) -> str:
    """`none failed`, or how many by kind."""
    if not kinds:
        return "none failed"
    return f"{sum(kinds.values()):,} failed ({', '.join(f'{n:,} {k}' for k, n in kinds.items())})"
