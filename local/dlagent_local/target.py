"""Which cluster a command is for: the user's own where they name one, else a local one."""

from __future__ import annotations

import os
from pathlib import Path

from dlagent_local.cluster import Cluster, NotRunningError


def own_kubeconfig(kubeconfig: Path | None) -> Path | None:
    """The user's: the one given, else $KUBECONFIG; None when there is neither.

    Raises FileNotFoundError when it is named but not there. Of several files in $KUBECONFIG the
    first that exists is taken.
    """
    if kubeconfig is not None:
        named = [kubeconfig]
    else:
        variable = os.environ.get("KUBECONFIG", "")
        named = [Path(part).expanduser() for part in variable.split(os.pathsep) if part]
    if not named:
        return None
    for file in named:
        if file.is_file():
            return file
    raise FileNotFoundError(f"no kubeconfig at {', '.join(map(str, named))}")


def resolve(kubeconfig: Path | None = None, name: str = "default") -> Path:
    """The kubeconfig of the user's own cluster, else that of the local cluster `name`.

    Raises FileNotFoundError, and NotRunningError when it has to be a local one that is not up.
    """
    own = own_kubeconfig(kubeconfig)
    if own is not None:
        return own
    cluster = Cluster(name)
    if not cluster.running:
        raise NotRunningError(
            f"no cluster: start a local one with `dlagent local up --name {name}`, "
            "or name yours with --kubeconfig or KUBECONFIG"
        )
    return cluster.kubeconfig
