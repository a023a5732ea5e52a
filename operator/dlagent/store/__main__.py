"""`python -m dlagent.store`: looks after a namespace's store, from a pod that has it mounted.

The operator starts `sweep` as a Job; `dlagent artifacts` and `dlagent report` start the others in
pods that last for one question, whose answer is what they print. Nothing else is printed to
standard output: the log of a pod is read as the answer.
"""

import argparse
import base64
import sys
import time
from pathlib import Path

from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    ArtifactStore,
    open_store,
)
from dlagent.store.inventory import inventory, read, verified
from dlagent.store.sweep import sweep

EXIT_OK = 0
EXIT_FAILED = 1
_SECONDS_AN_HOUR = 3600.0


def main(arguments: list[str] | None = None) -> int:
    """The program; returns its exit code. What it printed or why it failed is its last words."""
    options = _parser().parse_args(arguments)
    try:
        answer = _answer(open_store(options.store), options)
    except (ArtifactCorruptError, ArtifactMissingError) as error:
        return _fail(options, str(error))
    except OSError as error:
        return _fail(options, f"the store {options.store} failed: {error}")
    print(answer)
    if options.command == "sweep":
        _leave_message(options, answer)
    return EXIT_OK


def _answer(store: ArtifactStore, options: argparse.Namespace) -> str:
    match options.command:
        case "sweep":
            grace_seconds = options.grace_hours * _SECONDS_AN_HOUR
            report = sweep(store, options.keep, time.time(), grace_seconds, options.dry_run)
            return report.model_dump_json(by_alias=True)
        case "verify":
            return verified(store, options.keys).model_dump_json(by_alias=True, exclude_none=True)
        case "cat":
            return base64.b64encode(read(store, options.key, options.path)).decode()
        case _:
            return inventory(store).model_dump_json(by_alias=True, exclude_none=True)


def _fail(options: argparse.Namespace, message: str) -> int:
    print(message, file=sys.stderr)
    _leave_message(options, message)
    return EXIT_FAILED


def _leave_message(options: argparse.Namespace, message: str) -> None:
    try:
        options.termination_log.write_text(message)
    except OSError as error:
        print(f"cannot write {options.termination_log}: {error}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dlagent.store", description=__doc__)
    parser.add_argument("--store", default="/artifacts", help="a folder or a URL")
    parser.add_argument("--termination-log", type=Path, default=Path("/dev/termination-log"))
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")
    sweeping = commands.add_parser("sweep", help="remove what nobody needs")
    sweeping.add_argument("--keep", action="append", default=[], help="a key that is in use")
    sweeping.add_argument("--grace-hours", type=float, required=True, help="keep what is younger")
    sweeping.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    commands.add_parser("list", help="what is in the store")
    verifying = commands.add_parser("verify", help="read every file of artifacts")
    verifying.add_argument("keys", nargs="*", metavar="KEY", help="default: all")
    reading = commands.add_parser("cat", help="a file of an artifact, in Base64")
    reading.add_argument("key")
    reading.add_argument("path")
    return parser


if __name__ == "__main__":
    sys.exit(main())
