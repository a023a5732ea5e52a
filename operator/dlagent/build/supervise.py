"""The build as a child process: a file that crashes what loads it does not take the report along.

Called by `python -m dlagent.build build`. The child writes the termination message as it goes, so
that something is there even where the whole container is killed; where the child alone died, the
message says of what. What is imported here is waited for before the child starts.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

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
    return _killed(signal.Signals(-code), message)


def _killed(ended_by: signal.Signals, message: Path) -> int:
    """Say of what the child died, where it was a crash: the same file would crash it again."""
    from dlagent.domain.artifact.summary import (
        EXIT_TRANSIENT,
        FailureReason,
        failed,
        parse_summary,
    )

    if ended_by not in _CRASHES:
        return EXIT_TRANSIENT  # the child has said where it was and what to do
    before = parse_summary(message.read_text()) if message.exists() else None
    stage = before.message.partition(":")[0] if before is not None else "start"
    summary = failed(
        FailureReason.INVALID_MODEL,
        f"{stage}: the build's process crashed ({ended_by.name}) while it worked on the model; the"
        " file is damaged, or made to do this: check it with onnx.checker or torch.export.load"
        " where you made it, and write it again",
    )
    message.write_text(summary.to_message())
    print(summary.message, file=sys.stderr)
    return summary.exit_code()
