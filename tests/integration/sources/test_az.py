"""az:// against Azurite, the emulator of Azure's storage."""

import base64
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient

from dlagent.build.failure import BuildError
from tests.integration.sources.object_store import ObjectStoreTests
from tests.servers import clouds
from tests.servers.clouds import azure_connection


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with clouds.azure(tmp_path_factory.mktemp("azurite")) as url:
        yield url


class AzureContainer:
    uri = "az://models"

    def __init__(self, server: str) -> None:
        service = BlobServiceClient.from_connection_string(azure_connection(server))
        self._container = service.get_container_client("models")
        with contextlib.suppress(ResourceExistsError):
            self._container.create_container()

    def put(self, name: str, content: bytes) -> None:
        self._container.upload_blob(name, content, overwrite=True)


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> AzureContainer:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_connection(server))
    return AzureContainer(server)


class TestAzure(ObjectStoreTests):
    pass


def test_a_wrong_key_is_told_as_such(
    bucket: AzureContainer, server: str, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("net.onnx", b"x")
    wrong = base64.b64encode(bytes(32)).decode()
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_connection(server, wrong))

    with pytest.raises(BuildError, match="name a Secret with credentials") as refusal:
        room.download("az://models/net.onnx")
    assert "SourceUnavailable" == refusal.value.reason
    assert [] == room.waits


def test_an_account_must_be_named(room: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)

    with pytest.raises(BuildError, match="neither AZURE_STORAGE_CONNECTION_STRING nor"):
        room.download("az://models/net.onnx")
