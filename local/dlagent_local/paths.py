"""Where the launcher keeps things. Every other module asks here, so that `down` knows all of it."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NAME_PATTERN = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")

# A Unix socket's path may have 107 bytes; the longest file name below a run folder has 30.
_LONGEST_RUN_FOLDER = 76


def cache_folder() -> Path:
    """All that is built or downloaded; safe to delete while no cluster runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dlagent"


def clusters_folder() -> Path:
    """One folder for each cluster that is up, or was when its supervisor died."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "dlagent"


@dataclass(frozen=True)
class ClusterPaths:
    """The files of one cluster. `state` and `run` hold all of them and go with `down`."""

    state: Path
    run: Path

    @classmethod
    def of(cls, name: str) -> ClusterPaths:
        """Raises ValueError when `name` cannot be a cluster's."""
        if not NAME_PATTERN.fullmatch(name):
            raise ValueError(
                f"{name!r} is no cluster name: at most 20 of a-z, 0-9 and '-', "
                "which starts and ends with a letter or digit"
            )
        state = clusters_folder() / name
        run = state / "run"
        if len(os.fsencode(run)) > _LONGEST_RUN_FOLDER:
            digest = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
            run = Path(tempfile.gettempdir()) / f"dlagent-{os.getuid()}-{digest}"
        return cls(state, run)

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def volumes(self) -> Path:
        return self.state / "volumes"

    @property
    def envoy(self) -> Path:
        return self.state / "envoy"

    @property
    def images(self) -> Path:
        return self.state / "images.json"

    @property
    def plan(self) -> Path:
        return self.state / "plan.json"

    @property
    def pid_file(self) -> Path:
        return self.state / "supervisor.pid"

    @property
    def control(self) -> Path:
        return self.run / "control.sock"

    @property
    def runtime_socket(self) -> Path:
        return self.run / "runtime.sock"
