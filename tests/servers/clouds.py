"""The emulators of Google's and Azure's stores, each on a free port until its block ends."""

import base64
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import programs
from tests.servers.running import free_port, running

AZURE_ACCOUNT = "vision"
AZURE_KEY = base64.b64encode(secrets.token_bytes(32)).decode()


@contextmanager
def google(folder: Path) -> Iterator[str]:
    """fake-gcs-server, by its URL; its log is in the folder."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    command: list[str | Path] = [
        *(programs.fake_gcs_server(), "-backend", "memory", "-scheme", "http"),
        *("-host", "127.0.0.1", "-port", str(port), "-public-host", address),
    ]
    with running(command, port, folder / "log", os.environ):
        yield f"http://{address}"


@contextmanager
def azure(folder: Path) -> Iterator[str]:
    """Azurite, by its URL; its log is in the folder."""
    port = free_port()
    command: list[str | Path] = [
        *(programs.azurite(), "--blobHost", "127.0.0.1", "--blobPort", str(port)),
        *("--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"),
    ]
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{AZURE_ACCOUNT}:{AZURE_KEY}"}
    with running(command, port, folder / "log", environment):
        yield f"http://127.0.0.1:{port}"


def azure_connection(server: str, key: str = AZURE_KEY) -> str:
    """The connection string of the account."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={key};"
        f"BlobEndpoint={server}/{AZURE_ACCOUNT};"
    )
