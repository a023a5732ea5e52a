"""A real apiserver with etcd and nothing else: enough for admission, and ready in seconds.

A pytest plugin. While a schema or its rules are being written:

    DLAGENT_LOCALKUBE=... pytest --noconftest -p bare_apiserver tests/cluster/test_admission.py
"""

import http.client
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dlagent_local import recipes
from dlagent_local.paths import cache_folder

_TOKEN = "admin"
_READY_WITHIN_SECONDS = 60


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("apiserver")
    etcd_port, peer_port, port = (_free_port() for _ in range(3))
    etcd = f"http://127.0.0.1:{etcd_port}"
    peer = f"http://127.0.0.1:{peer_port}"
    (folder / "tokens.csv").write_text(f"{_TOKEN},admin,admin,system:masters\n")
    (folder / "sa.key").write_bytes(_private_key())
    commands = [
        [
            *("etcd", "--unsafe-no-fsync", "--log-level=error", f"--data-dir={folder / 'etcd'}"),
            *(f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
            f"--initial-cluster=default={peer}",
        ],
        [
            *("kube-apiserver", f"--etcd-servers={etcd}", f"--secure-port={port}"),
            *("--bind-address=127.0.0.1", f"--cert-dir={folder}", "--authorization-mode=RBAC"),
            *(
                f"--token-auth-file={folder / 'tokens.csv'}",
                "--service-cluster-ip-range=10.0.0.0/24",
            ),
            *("--service-account-issuer=https://kubernetes.default.svc",),
            f"--service-account-key-file={folder / 'sa.key'}",
            f"--service-account-signing-key-file={folder / 'sa.key'}",
        ],
    ]
    with (folder / "log").open("wb") as log:
        processes = [
            subprocess.Popen([_localkube(), *command], stdout=log, stderr=log)
            for command in commands
        ]
        try:
            _await_ready(port, folder / "log")
            yield _kubeconfig(folder / "kubeconfig", port)
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()


def _localkube() -> Path:
    ready = os.environ.get(recipes.READY_LOCALKUBE)
    return Path(ready) if ready else recipes.localkube().path(cache_folder()) / "localkube"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _private_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _await_ready(port: int, log: Path) -> None:
    context = ssl._create_unverified_context()
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=2)
        try:
            connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {_TOKEN}"})
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise TimeoutError(f"the apiserver is not ready:\n{log.read_text()[-2000:]}")


def _kubeconfig(path: Path, port: int) -> Path:
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bare",
        "clusters": [{"name": "bare", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": _TOKEN}}],
        "contexts": [{"name": "bare", "context": {"cluster": "bare", "user": "admin"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path
