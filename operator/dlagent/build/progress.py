"""Progress of a build: one JSON line a stage on stdout, which the operator shows in Ready."""

import json
import sys
import time
from collections.abc import Callable

STAGES = (
    "fetch",
    "load",
    "export",
    "data",
    "search",
    "fuse",
    "parity",
    "measure",
    "publish",
)


class Progress:
    """Tells of each stage as it begins, or of a step in it, and remembers how long it took.

    `on_stage` is called too: the Job writes there what to report should it be killed.
    """

    def __init__(
        self,
        on_stage: Callable[[str, str], None] | None = None,
        show: Callable[[str, str], None] | None = None,
    ) -> None:
        self._on_stage = on_stage
        self._show = show or _print_line
        self._began = 0.0
        self.stage = "start"
        self.seconds: dict[str, float] = {}

    def begin(self, stage: str, message: str) -> None:
        """End the stage before, if any, and begin this one."""
        self.end()
        self.stage = stage
        self._began = time.monotonic()
        if self._on_stage:
            self._on_stage(stage, message)
        self._show(stage, message)

    def end(self) -> None:
        """The last stage is over."""
        if self.stage in STAGES:
            taken = time.monotonic() - self._began
            self.seconds[self.stage] = round(self.seconds.get(self.stage, 0.0) + taken, 3)


def _print_line(stage: str, message: str) -> None:
    line = {
        "stage": stage,
        "message": message,
        "step": STAGES.index(stage) + 1,
        "of": len(STAGES),
    }
    print(json.dumps(line), file=sys.stdout, flush=True)
