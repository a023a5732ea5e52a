"""`make test-go`: the Go tests of the local cluster, with the tools that the launcher would take.

They start containers, which needs user 0: without it they run in a user namespace of their own.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from dlagent_local import tools

MODULE = Path(__file__).resolve().parents[1] / "local/controlplane"
PACKAGES = ("./processruntime/", "./addons/", "./ownership/")


def main() -> int:
    """Returns the exit code of `go test`."""
    command = [str(tools.go(MODULE)), "test", "-trimpath", *PACKAGES]
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-buildvcs=false",
        "LOCALKUBE_BWRAP": str(tools.bwrap()),
        "LOCALKUBE_ENVOY": str(tools.envoy()),
    }
    if os.getuid() != 0:
        # A shell that stays is the namespace's first process: it reaps what the tests orphan.
        script = f"{shlex.join(command)}; exit $?"
        command = [str(tools.unshare()), "-Urmpf", "--mount-proc", "sh", "-c", script]
    return subprocess.run(command, cwd=MODULE, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
