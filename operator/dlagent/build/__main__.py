"""`python -m dlagent.build`: a build as the containers of a Job's pod run it, one after the other.

`fetch`, `build` and `publish` are what dlagent.build.containers says. `build` starts `work`, which
does it, as a child: a file that crashes what reads it does not take the report along.
The request is in DLAGENT_BUILD_REQUEST; claims are under /sources, the files of the source's Secret
under /credentials, the store at /artifacts. Progress goes to stdout, the result, or why there is
none, to the termination message.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """The program; returns its exit code, as `Summary.exit_code` explains."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    if options.command == "build":
        from dlagent.build.supervise import supervise

        child = [sys.executable, "-m", "dlagent.build", "work", *given[1:]]
        return supervise(child, options.termination_log)
    # Late: whoever only supervises must not wait for them.
    from dlagent.build import containers

    if options.command == "fetch":
        return containers.fetch(options)
    if options.command == "publish":
        return containers.publish(options)
    with tempfile.TemporaryDirectory(prefix="build-") as scratch:
        options.scratch = Path(scratch)
        return containers.work(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dlagent.build", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="container")
    for name, text, options in (
        ("fetch", "copy what is read", (_sources, _store)),
        ("build", "make the artifact of it", (_output, _trials)),
        ("work", "the same in this process, where a crash tells nothing", (_output, _trials)),
        ("publish", "verify what was made, and publish it", (_output, _store)),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--fetched", type=Path, default=Path("/fetched"))
        command.add_argument("--termination-log", type=Path, default=Path("/dev/termination-log"))
        for add in options:
            add(command)
    return parser


def _sources(command: argparse.ArgumentParser) -> None:
    command.add_argument("--sources", type=Path, default=Path("/sources"))
    command.add_argument("--credentials", type=Path, default=Path("/credentials"))


def _store(command: argparse.ArgumentParser) -> None:
    command.add_argument("--store", default="/artifacts", help="a folder or a URL")


def _output(command: argparse.ArgumentParser) -> None:
    command.add_argument("--output", type=Path, default=Path("/output"))


def _trials(command: argparse.ArgumentParser) -> None:
    command.add_argument("--trials", type=Path, help="folder shared with a Triton to measure on")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # everything is written, and torch takes two seconds to be taken apart
