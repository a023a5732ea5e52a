"""How a refused build must end: told in one line, of its stage, and nothing is published."""

import re
from typing import Any

from dlagent.domain.artifact.summary import parse_summary

TRANSIENT = {"SourceUnavailable", "NoSpace", "Internal"}


def assert_refused(workshop: Any, summary: Any, reason: str, why: str, stage: str) -> None:
    assert ("Failed", reason) == (summary.outcome, summary.reason), summary.message
    assert summary.message.startswith(f"{stage}: ")
    assert re.search(why, summary.message), summary.message
    assert "Traceback" not in summary.message
    assert (4 if reason in TRANSIENT else 3) == summary.exit_code()
    assert summary == parse_summary(summary.to_message())
    assert not list(workshop.store_root.glob("artifacts/*"))
