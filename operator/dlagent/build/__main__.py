"""`python -m dlagent.build job`: the build as a Job's container runs it.

The request is in DLAGENT_BUILD_REQUEST; claims are under /sources, the files of the source's Secret
under /credentials, the store at /artifacts, room for copies at TMPDIR. Progress goes to stdout, the
result to the termination message. A message is there from the first moment, so that a process that
is killed has said where.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from pydantic import ValidationError

from dlagent.adapters.store import open_store
from dlagent.build.progress import Progress
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import FailureReason, Summary, failed

REQUEST_VARIABLE = "DLAGENT_BUILD_REQUEST"


def main(arguments: list[str] | None = None) -> int:
    """The program; returns its exit code, as `Summary.exit_code` explains."""
    options = _parser().parse_args(arguments)
    message: Path = options.termination_log

    def killed_in(stage: str, _: str) -> None:
        say = f"{stage}: the build was killed; raise spec.build.resources.limits.memory if it was"
        _write(message, failed(FailureReason.INTERNAL, f"{say} for lack of memory"))

    killed_in("start", "")
    try:
        request = BuildRequest.model_validate_json(os.environ.get(REQUEST_VARIABLE, ""))
    except ValidationError as error:
        text = f"start: {REQUEST_VARIABLE} holds no build request ({error.error_count()} errors)"
        summary = failed(FailureReason.INTERNAL, text)
    else:
        summary = _run(request, options, Progress(killed_in))
    _write(message, summary)
    print(summary.message, file=sys.stderr)
    return summary.exit_code()


def _run(request: BuildRequest, options: argparse.Namespace, progress: Progress) -> Summary:
    # Late: onnx and onnxruntime take a second, and the first message must be there before.
    from dlagent.build.pipeline import Places, build

    try:
        store = open_store(options.store)
    except OSError as error:
        return failed(FailureReason.INTERNAL, f"start: {error}")
    with tempfile.TemporaryDirectory(prefix="build-") as scratch:
        # Downloads are kept beside artifacts on a volume; an object store is as far as the source.
        downloads = None if "://" in options.store else Path(options.store)
        places = Places(
            options.sources,
            store,
            Path(scratch),
            options.credentials,
            downloads=downloads,
            trials=options.trials,
        )
        return build(request, places, progress)


def _write(path: Path, summary: Summary) -> None:
    try:
        path.write_text(summary.to_message())
    except OSError as error:
        print(f"cannot write {path}: {error}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dlagent.build", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="job")
    job = commands.add_parser("job", help="run the build that the environment describes")
    job.add_argument("--sources", type=Path, default=Path("/sources"))
    job.add_argument("--credentials", type=Path, default=Path("/credentials"))
    job.add_argument("--store", default="/artifacts", help="a folder or a URL")
    job.add_argument("--trials", type=Path, help="folder shared with a Triton to measure on")
    job.add_argument("--termination-log", type=Path, default=Path("/dev/termination-log"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
