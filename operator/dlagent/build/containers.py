"""The three containers of a build's pod, one after the other, each with no more than it needs.

    fetch     the source's Secret, the claims, the store   copies all that is read to /fetched
    build     /fetched, read-only                          makes the artifact, in /output
    publish   /fetched and /output, read-only, the store   publishes what it has verified

Only `build` reads models and data sets: a file that takes it over finds no credentials, and cannot
change the store. Called by `python -m dlagent.build`, which documents the rest.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from dlagent.adapters.store import open_store
from dlagent.build.failure import told
from dlagent.build.gather import gather
from dlagent.build.handover import (
    Fetched,
    read_fetched,
    read_output,
    write_fetched,
    write_output,
)
from dlagent.build.places import Places
from dlagent.build.progress import Progress
from dlagent.build.stored import publish as publish_to
from dlagent.domain.artifact.request import BuildRequest, artifact_key
from dlagent.domain.artifact.summary import EXIT_OK, FailureReason, Summary, failed

REQUEST_VARIABLE = "DLAGENT_BUILD_REQUEST"

# What a container does; None where it is for the next one to tell of the build.
Step = Callable[[BuildRequest, Progress], Summary | None]


def fetch(options: argparse.Namespace) -> int:
    """Copy what the request names to `options.fetched`; the exit code."""

    def step(request: BuildRequest, progress: Progress) -> None:
        # Downloads are kept beside artifacts on a volume; an object store is as far as the source.
        downloads = None if "://" in options.store else Path(options.store)
        places = Places(
            options.sources,
            open_store(options.store),
            options.fetched,
            options.credentials,
            downloads=downloads,
        )
        gathered = gather(request, places, progress)
        progress.end()
        write_fetched(options.fetched, Fetched(gathered, progress.seconds))

    return _run(options.termination_log, step)


def work(options: argparse.Namespace) -> int:
    """Make the artifact of what was fetched, unless it is known; the exit code."""

    def step(request: BuildRequest, progress: Progress) -> None:
        fetched = read_fetched(options.fetched, request)
        if fetched.gathered.known is not None:
            return
        progress.seconds.update(fetched.stage_seconds)
        progress.begin("load", "starting ONNX Runtime")
        from dlagent.build.pipeline import make  # takes seconds

        files = make(request, fetched.gathered, options.scratch, options.trials, progress)
        key = artifact_key(request, fetched.gathered.source.sha256)
        write_output(options.output, key, files)

    return _run(options.termination_log, step)


def publish(options: argparse.Namespace) -> int:
    """Publish what was made, or tell of what is known; the exit code."""

    def step(request: BuildRequest, progress: Progress) -> Summary:
        gathered = read_fetched(options.fetched, request).gathered
        if gathered.known is not None:
            return gathered.known
        sha256 = gathered.source.sha256
        progress.begin("publish", f"publishing artifact {artifact_key(request, sha256)[:12]}")
        files = read_output(options.output, request, sha256)
        return publish_to(open_store(options.store), request, sha256, files)

    return _run(options.termination_log, step)


def _run(message: Path, step: Step) -> int:
    """Do the step, and leave the termination message of the container behind.

    One is there from the first moment, so that a process that is killed has said where. Where it is
    for the next container to tell of the build, none is left.
    """

    def killed_in(stage: str, _: str) -> None:
        say = f"{stage}: the build was killed; raise spec.build.resources.limits.memory if it was"
        _write(message, failed(FailureReason.INTERNAL, f"{say} for lack of memory").to_message())

    killed_in("start", "")
    summary = _done(step, Progress(killed_in))
    if summary is None:
        _write(message, "")
        return EXIT_OK
    _write(message, summary.to_message())
    print(summary.message, file=sys.stderr)
    return summary.exit_code()


def _done(step: Step, progress: Progress) -> Summary | None:
    try:
        request = BuildRequest.model_validate_json(os.environ.get(REQUEST_VARIABLE, ""))
    except ValidationError as error:
        text = f"start: {REQUEST_VARIABLE} holds no build request ({error.error_count()} errors)"
        return failed(FailureReason.INTERNAL, text)
    return told(progress, lambda: step(request, progress))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        print(f"cannot write {path}: {error}", file=sys.stderr)
