"""A build's pod as processes on this machine: its containers, and the folders that they share."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import Summary, parse_summary

CONTAINERS = ("fetch", "build", "publish")


class BuildPod:
    """One try of a Job: `folder` is what goes when the pod goes."""

    def __init__(self, folder: Path, sources: Path, store: str, request: BuildRequest) -> None:
        self.folder = folder
        self._sources = sources
        self._store = store
        self._environment = {"DLAGENT_BUILD_REQUEST": request.model_dump_json(by_alias=True)}
        for name in ("fetched", "output"):
            (folder / name).mkdir(parents=True)

    def arguments(self, container: str) -> list[str]:
        """As the Job's manifest gives them; "work" is what "build" starts."""
        fetched = ["--fetched", str(self.folder / "fetched")]
        output = ["--output", str(self.folder / "output")]
        store = ["--store", self._store]
        own = {
            "fetch": [*store, "--sources", str(self._sources)],
            "publish": [*output, *store],
        }.get(container, output)
        return [container, *fetched, *own, "--termination-log", str(self.message_path(container))]

    def message_path(self, container: str) -> Path:
        return self.folder / f"message-{container}"

    def message(self, container: str) -> Summary | None:
        """The summary that a container left, None where it left none."""
        return parse_summary(self.message_path(container).read_text())

    def start(
        self, container: str, program: str | None = None, more: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """The container, or `program` in its place, as a process."""
        command = ["-m", "dlagent.build"] if program is None else ["-c", program]
        return subprocess.Popen(
            [sys.executable, *command, *self.arguments(container)],
            env={**os.environ, **self._environment, **(more or {})},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, more: Mapping[str, str] | None = None) -> Summary:
        """All containers one after the other, as far as each ends well; what is told in the end."""
        for container in CONTAINERS:
            process = self.start(container, more=more)
            process.communicate(timeout=120)
            found = self.message(container)
            if process.returncode != 0:
                break
        assert found is not None, f"{container} said nothing"
        return found
