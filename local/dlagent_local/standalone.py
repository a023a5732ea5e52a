"""The local Triton and Prometheus by themselves, without a cluster: for tests and benchmarks."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlagent_local import recipes
from dlagent_local.cache import ensure
from dlagent_local.images import TRITON, Python, images
from dlagent_local.paths import cache_folder

_HOST = "127.0.0.1"
_READY_SECONDS = 60.0
_END_SECONDS = 30.0
_TOOL_SECONDS = 120.0
_LOG_SHOWN_CHARACTERS = 3000
_CONTAINER_FOLDER = "/opt/triton"


class StandaloneError(RuntimeError):
    """A server did not start, or answered with an error; the message says what it printed."""


@dataclass(frozen=True)
class Triton:
    """A Triton that is ready."""

    process_id: int
    http_port: int
    metrics_port: int

    @property
    def address(self) -> str:
        """Host and port of its HTTP protocol."""
        return f"{_HOST}:{self.http_port}"

    def metrics(self) -> str:
        """What Prometheus would scrape now."""
        return _get(self.metrics_port, "/metrics").decode()


@contextmanager
def triton(
    models: Path, log: Path, *arguments: str, programs: Path | None = None
) -> Iterator[Triton]:
    """Triton on a model repository, until the block ends; installed first where it is missing.

    Args:
        models: a folder with a folder for each model.
        log: the file that it prints to.
        arguments: more of Triton's command line.
        programs: a folder of programs that it finds before others.

    Raises:
        StandaloneError: it did not get ready.
    """
    environment = ensure(recipes.triton(), cache_folder(), lambda _message, _done: None)
    http_port, metrics_port = _free_port(), _free_port()
    ports = [f"--http-port={http_port}", f"--metrics-port={metrics_port}"]
    command = _triton_command(environment, models, [*ports, *arguments])
    if programs is not None:
        command["env"]["PATH"] = f"{programs}{os.pathsep}{command['env']['PATH']}"
    with _running(command, log, http_port, "/v2/health/ready") as process_id:
        yield Triton(process_id, http_port, metrics_port)


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that is ready."""

    port: int

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self.port}"

    def ask(self, path: str, **parameters: str) -> Any:
        """The field `data` of its answer to a path below /api/v1, such as "query"."""
        query = urllib.parse.urlencode(parameters)
        return json.loads(_get(self.port, f"/api/v1/{path}?{query}"))["data"]


@contextmanager
def prometheus(configuration: dict[str, Any], folder: Path) -> Iterator[Prometheus]:
    """Prometheus until the block ends; built first where it is missing, which takes minutes.

    Args:
        configuration: what is in its configuration file.
        folder: an empty one, for that file, its data, and `log`, which it prints to.

    Raises:
        StandaloneError: it did not get ready; a configuration that it refuses is a cause.
    """
    binary = ensure(recipes.prometheus(), cache_folder(), lambda _message, _done: None)
    port = _free_port()
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(configuration))  # which is YAML as well
    arguments = [
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={_HOST}:{port}",
        "--log.level=warn",
    ]
    command = {"args": [str(binary / "prometheus"), *arguments]}
    with _running(command, folder / "log", port, "/-/ready"):
        yield Prometheus(port)


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs promtool to its end; built first where it is missing, which takes minutes."""
    binary = ensure(recipes.promtool(), cache_folder(), lambda _message, _done: None)
    command = [str(binary / "promtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=_TOOL_SECONDS)


@contextmanager
def _running(command: dict[str, Any], log: Path, port: int, ready: str) -> Iterator[int]:
    """A process by its id, from when it answers `ready` with 200 until the block ends."""
    with log.open("w") as output:
        server = subprocess.Popen(**command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(server, port, ready, log)
            yield server.pid
        finally:
            server.terminate()
            server.wait(_END_SECONDS)


def _triton_command(environment: Path, models: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """The local Triton image's command and environment, with the paths of this machine."""
    unused = Path("/unused")
    entries = images(Python.running(), unused, environment, unused)["images"]
    image = next(entry for entry in entries if entry["name"] == TRITON)
    variables = {
        name: value.replace(_CONTAINER_FOLDER, str(environment))
        for name, value in image["env"].items()
    }
    command = [part.replace(_CONTAINER_FOLDER, str(environment)) for part in image["entrypoint"]]
    command += [
        f"--model-repository={models}",
        f"--backend-directory={environment / 'backends'}",
        "--model-control-mode=none",
        "--strict-readiness=true",
        "--exit-on-error=true",
        "--exit-timeout-secs=5",
        "--disable-auto-complete-config",
        f"--http-address={_HOST}",
        f"--metrics-address={_HOST}",
        "--allow-grpc=false",
        "--allow-gpu-metrics=false",
        *arguments,
    ]
    return {"args": command, "env": variables}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            _get(port, path)
        except (OSError, StandaloneError):
            time.sleep(0.1)
        else:
            return
    raise StandaloneError(f"it did not get ready:\n{log.read_text()[-_LOG_SHOWN_CHARACTERS:]}")


def _get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection(_HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.status != 200:
        said = content.decode(errors="replace")
        raise StandaloneError(f"HTTP {response.status} from {path}: {said}")
    return content
