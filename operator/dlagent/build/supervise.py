"""The build as a child process: a file that crashes what loads it does not take the report along.

Called by `python -m dlagent.build job`. The child writes the termination message as it goes, so
that something is there even where the whole container is killed; where the child alone died, the
message says of what.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from dlagent.domain.artifact.summary import (
    EXIT_TRANSIENT,
    FailureReason,
    Summary,
    failed,
    parse_summary,
)

# What a process ends of that ran into a fault of its own, rather than by somebody's order.
_CRASHES = {
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGILL,
    signal.SIGFPE,
}


def supervise(command: Sequence[str], message: Path) -> int:
    """Run the child to its end; its exit code, or that of what killed it.

    `message` is the file that the child writes its summary to.
    """
    child = subprocess.Popen(command)

    def pass_on(number: int, frame: FrameType | None) -> None:
        del frame
        child.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        code = child.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    if code >= 0:
        return code
    ended_by = signal.Signals(-code)
    if ended_by not in _CRASHES:
        return EXIT_TRANSIENT  # the child has said where it was and what to do
    summary = crashed(_stage(message), ended_by)
    message.write_text(summary.to_message())
    print(summary.message, file=sys.stderr)
    return summary.exit_code()


def crashed(stage: str, ended_by: signal.Signals) -> Summary:
    """The summary of a build whose process crashed: the same file would crash it again."""
    return failed(
        FailureReason.INVALID_MODEL,
        f"{stage}: the build's process crashed ({ended_by.name}) while it worked on the model; the"
        " file is damaged, or made to do this: check it with onnx.checker or torch.export.load"
        " where you made it, and write it again",
    )


def _stage(message: Path) -> str:
    """Where the child was, by its last message."""
    try:
        told = parse_summary(message.read_text())
    except OSError:
        return "start"
    return told.message.partition(":")[0] if told is not None else "start"
