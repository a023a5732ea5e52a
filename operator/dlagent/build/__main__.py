"""`python -m dlagent.build job`: the build as a Job's container runs it.

`job` starts `work`, which does it, as a child: files that are not trusted are read there.
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
from dlagent.build.supervise import supervise
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import FailureReason, Summary, failed

REQUEST_VARIABLE = "DLAGENT_BUILD_REQUEST"


def main(arguments: list[str] | None = None) -> int:
    """The program; returns its exit code, as `Summary.exit_code` explains."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    if options.command == "job":
        child = [sys.executable, "-m", "dlagent.build", "work", *given[1:]]
        return supervise(child, options.termination_log)
    return _work(options)


def _work(options: argparse.Namespace) -> int:
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
    commands = parser.add_subparsers(dest="command", required=True, metavar="job")
    for name, text in (
        ("job", "run the build that the environment describes"),
        ("work", "the same in this process, where a crash tells nothing"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--sources", type=Path, default=Path("/sources"))
        command.add_argument("--credentials", type=Path, default=Path("/credentials"))
        command.add_argument("--store", default="/artifacts", help="a folder or a URL")
        command.add_argument(
            "--trials", type=Path, help="folder shared with a Triton to measure on"
        )
        command.add_argument("--termination-log", type=Path, default=Path("/dev/termination-log"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
