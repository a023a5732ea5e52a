"""oci:// against distribution's registry: artifacts as `oras push` makes them, open and closed."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from dlagent.build.failure import BuildError
from dlagent.build.sources import answers
from dlagent.build.sources.base import Interrupted, Stream
from tests.servers import programs
from tests.servers.running import free_port, running

CONTENT = bytes(range(256)) * 20_000
USER, PASSWORD = "ann", "right"
# Of the password, by bcrypt, as `htpasswd -Bbn ann right` prints it.
HTPASSWD = "ann:$2b$05$abcdefghijklmnopqrstuu8xaCxxL82bnl.UY74PMksDxIJShppPC"


class RegistryServer:
    """A registry over https. `push` puts files there as `oras push` does."""

    def __init__(self, address: str, authority: Path, auth: tuple[str, str] | None) -> None:
        self.address = address
        self._session = requests.Session()
        self._session.trust_env = False  # else it may name other certificates
        self._session.verify = str(authority)
        self._session.auth = auth

    def push(self, reference: str, files: dict[str, bytes]) -> str:
        """The manifest's digest."""
        layers = [
            {
                **self._blob(reference, content),
                "mediaType": "application/octet-stream",
                "annotations": {"org.opencontainers.image.title": name},
            }
            for name, content in files.items()
        ]
        config = {
            **self._blob(reference, b"{}"),
            "mediaType": "application/vnd.oci.empty.v1+json",
        }
        return self.put_manifest(
            reference,
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config,
                "layers": layers,
            },
        )

    def put_manifest(self, reference: str, manifest: dict[str, Any]) -> str:
        name, tag = reference.split(":")
        put = self._session.put(
            f"https://{self.address}/v2/{name}/manifests/{tag}",
            data=json.dumps(manifest),
            headers={"Content-Type": str(manifest["mediaType"])},
            timeout=10,
        )
        put.raise_for_status()
        return str(put.headers["Docker-Content-Digest"])

    def _blob(self, reference: str, content: bytes) -> dict[str, Any]:
        name = reference.split(":")[0]
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        begun = self._session.post(f"https://{self.address}/v2/{name}/blobs/uploads/", timeout=10)
        begun.raise_for_status()
        self._session.put(
            begun.headers["Location"], params={"digest": digest}, data=content, timeout=30
        ).raise_for_status()
        return {"digest": digest, "size": len(content)}


def serve(
    folder: Path, certificates: Any, auth: tuple[str, str] | None = None
) -> Iterator[RegistryServer]:
    address = f"localhost:{free_port()}"
    configuration: dict[str, Any] = {
        "version": 0.1,
        "storage": {"inmemory": {}},
        "http": {
            "addr": address,
            "tls": {"certificate": str(certificates.certificate), "key": str(certificates.key)},
        },
        "log": {"level": "error"},
    }
    if auth is not None:
        (folder / "htpasswd").write_text(HTPASSWD + "\n")
        configuration["auth"] = {"htpasswd": {"realm": "models", "path": str(folder / "htpasswd")}}
    file = folder / "config.yml"
    file.write_text(yaml.safe_dump(configuration))
    command: list[str | Path] = [programs.oci_registry(), "serve", file]
    port = int(address.rpartition(":")[2])
    with running(command, port, folder / "log", {**os.environ, "OTEL_TRACES_EXPORTER": "none"}):
        yield RegistryServer(address, certificates.authority, auth)


@pytest.fixture(scope="module")
def registry(
    tmp_path_factory: pytest.TempPathFactory, certificates: Any
) -> Iterator[RegistryServer]:
    yield from serve(tmp_path_factory.mktemp("registry"), certificates)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, certificates: Any) -> Iterator[RegistryServer]:
    yield from serve(tmp_path_factory.mktemp("closed"), certificates, (USER, PASSWORD))


def test_a_file_of_an_artifact_arrives_whole(registry: RegistryServer, room: Any) -> None:
    registry.push("models/shoes:v3", {"README.md": b"shoes", "onnx/shoes.onnx": CONTENT})

    uri = f"oci://{registry.address}/models/shoes:v3"
    assert CONTENT == room.download(f"{uri}/onnx/shoes.onnx")
    assert b"shoes" == room.download(f"{uri}/README.md")


def test_a_manifest_is_named_by_its_digest(registry: RegistryServer, room: Any) -> None:
    digest = registry.push("models/shoes:v3", {"shoes.onnx": CONTENT})
    registry.push("models/shoes:v3", {"shoes.onnx": b"another"})

    uri = f"oci://{registry.address}/models/shoes@{digest}/shoes.onnx"
    assert CONTENT == room.download(uri)


def interrupted(monkeypatch: pytest.MonkeyPatch, meanwhile: Any = None) -> list[int]:
    """The first answer with the file ends after a megabyte. The offsets that are asked for."""
    asked: list[int] = []
    stream = answers.stream_of

    def cut(response: requests.Response, wanted: Any, offset: int) -> Any:
        asked.append(offset)
        found = stream(response, wanted, offset)
        if len(asked) > 1:
            return found

        def some() -> Iterator[bytes]:
            yield next(found.chunks)
            if meanwhile is not None:
                meanwhile()
            raise Interrupted("the connection broke")

        return Stream(found.offset, found.size, some())

    monkeypatch.setattr("dlagent.build.sources.oci.stream_of", cut)
    return asked


def test_a_cut_download_goes_on_in_the_same_content(
    registry: RegistryServer, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.push("models/shoes:v3", {"shoes.onnx": CONTENT})
    asked = interrupted(
        monkeypatch, lambda: registry.push("models/shoes:v3", {"shoes.onnx": CONTENT[::-1]})
    )

    uri = f"oci://{registry.address}/models/shoes:v3/shoes.onnx"
    assert CONTENT == room.download(uri)
    assert [0, 1 << 20] == asked


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("models/shoes:v3/boots.onnx", "has no 'boots.onnx'", id="no such file"),
        pytest.param("models/shoes:v4/shoes.onnx", "404 Not Found", id="no such tag"),
        pytest.param("models/boots:v3/shoes.onnx", "404 Not Found", id="no such repository"),
        pytest.param(f"models/shoes@sha256:{'0' * 64}/shoes.onnx", "404", id="no such digest"),
        pytest.param("models/index:v3/shoes.onnx", "not an artifact with files", id="an index"),
    ],
)
def test_what_is_not_there_is_told_at_once(
    registry: RegistryServer, room: Any, name: str, why: str
) -> None:
    registry.push("models/shoes:v3", {"shoes.onnx": CONTENT})
    kind = "application/vnd.oci.image.index.v1+json"
    registry.put_manifest(
        "models/index:v3", {"schemaVersion": 2, "mediaType": kind, "manifests": []}
    )

    with pytest.raises(BuildError, match=why) as refusal:
        room.download(f"oci://{registry.address}/{name}")
    assert "SourceUnavailable" == refusal.value.reason
    assert [] == room.waits


def test_the_size_limit_holds(registry: RegistryServer, room: Any) -> None:
    registry.push("models/shoes:v3", {"shoes.onnx": CONTENT})

    with pytest.raises(BuildError) as refusal:
        room.download(f"oci://{registry.address}/models/shoes:v3/shoes.onnx", len(CONTENT) - 1)
    assert "SourceTooLarge" == refusal.value.reason


def docker_config(address: str) -> dict[str, str]:
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return {".dockerconfigjson": json.dumps({"auths": {address: {"auth": auth}}})}


@pytest.mark.parametrize("kind", ["docker config", "user name and password"])
def test_credentials_open_a_closed_registry(closed: RegistryServer, room: Any, kind: str) -> None:
    closed.push("models/shoes:v3", {"shoes.onnx": CONTENT})
    named = {"username": USER, "password": PASSWORD}
    secret = docker_config(closed.address) if kind == "docker config" else named
    for key, value in secret.items():
        (room.credentials / key).write_text(value)

    assert CONTENT == room.download(f"oci://{closed.address}/models/shoes:v3/shoes.onnx")


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param({}, id="none"),
        pytest.param({"username": USER, "password": "wrong"}, id="a wrong password"),
        pytest.param(docker_config("elsewhere.example"), id="those of another registry"),
        pytest.param({".dockerconfigjson": "{"}, id="a file that is no JSON"),
    ],
)
def test_missing_credentials_are_told_as_such(
    closed: RegistryServer, room: Any, secret: dict[str, str]
) -> None:
    for key, value in secret.items():
        (room.credentials / key).write_text(value)

    with pytest.raises(BuildError, match=r"spec\.model\.source\.secretRef") as refusal:
        room.download(f"oci://{closed.address}/models/shoes:v3/shoes.onnx")
    assert "SourceUnavailable" == refusal.value.reason
    assert [] == room.waits


class TokenRegistry:
    """What registries that give tokens answer, such as those of GitHub or Docker."""

    def __init__(self, web: Any, realm: str) -> None:
        self._challenge = f'Bearer realm="{realm}",service="models",scope="repository:shoes:pull"'
        digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
        title = {"org.opencontainers.image.title": "shoes.onnx"}
        manifest = {"layers": [{"digest": digest, "annotations": title}]}
        web.answers |= {
            "/v2/": lambda handler: self._guarded(handler, b"{}"),
            "/v2/shoes/manifests/v3": lambda h: self._guarded(h, json.dumps(manifest).encode()),
            f"/v2/shoes/blobs/{digest}": lambda handler: self._guarded(handler, CONTENT),
        }

    def _guarded(self, handler: Any, content: bytes) -> None:
        allowed = handler.headers.get("Authorization") == "Bearer given"
        handler.send_response(200 if allowed else 401)
        handler.send_header("WWW-Authenticate", self._challenge)
        body = content if allowed else b""
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def test_a_registry_that_gives_tokens(web: Any, room: Any) -> None:
    TokenRegistry(web, f"{web.url}/token")

    def token(handler: Any) -> None:
        body = json.dumps({"token": "given"}).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    web.answers["/token?service=models&scope=repository%3Ashoes%3Apull"] = token
    host = web.url.removeprefix("https://")

    assert CONTENT == room.download(f"oci://{host}/shoes:v3/shoes.onnx")


def test_a_registry_cannot_send_the_build_for_a_token_to_a_private_address(
    web: Any, room: Any
) -> None:
    room.allowed_hosts = ("localhost",)
    TokenRegistry(web, web.url.replace("localhost", "127.0.0.1") + "/token")
    host = web.url.removeprefix("https://")

    with pytest.raises(BuildError, match=r"127\.0\.0\.1, which is not public"):
        room.download(f"oci://{host}/shoes:v3/shoes.onnx")
    assert not any("token" in path for path, _ in web.requests)
