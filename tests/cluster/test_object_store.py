"""Artifacts in an object store of each service: what pods' own programs put there is served."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from azure.storage.blob import BlobServiceClient

from models import scaling_model, write
from rooms import Room
from scaled import DOUBLED, ROW, operator_with
from tests.servers import clouds
from tests.servers.clouds import azure_connection
from tests.unit.adapters.faulty_s3 import FaultyS3

BUCKET = "artifacts"
SECRET = "artifact-store"


@dataclass(frozen=True)
class Store:
    """A bucket on this machine's loopback, which local pods share; `entries` are its Secret's."""

    url: str
    entries: Mapping[str, str]
    paths: Callable[[], list[str]]


@contextmanager
def s3(_folder: Path) -> Iterator[Store]:
    with FaultyS3().running() as server:
        yield Store(f"s3://{BUCKET}", server.environment, lambda: server.filesystem().find(BUCKET))


@contextmanager
def google(folder: Path) -> Iterator[Store]:
    with clouds.google(folder) as url:
        bucket = f"{url}/storage/v1/b"
        requests.post(bucket, json={"name": BUCKET}, timeout=10).raise_for_status()

        def paths() -> list[str]:
            found = requests.get(f"{bucket}/{BUCKET}/o", timeout=10).json()
            return [each["name"] for each in found["items"]]

        yield Store(f"gs://{BUCKET}", {"STORAGE_EMULATOR_HOST": url}, paths)


@contextmanager
def azure(folder: Path) -> Iterator[Store]:
    with clouds.azure(folder) as url:
        connection = azure_connection(url)
        with BlobServiceClient.from_connection_string(connection) as service:
            container = service.create_container(BUCKET)
            entries = {"AZURE_STORAGE_CONNECTION_STRING": connection}
            yield Store(f"az://{BUCKET}", entries, lambda: list(container.list_blob_names()))


@pytest.mark.disruptive
@pytest.mark.timeout(600)
@pytest.mark.parametrize("opened", [s3, google, azure], ids=["s3", "gs", "az"])
def test_a_model_is_served_from_an_object_store(
    room: Room, tmp_path: Path, opened: Callable[[Path], AbstractContextManager[Store]]
) -> None:
    write(room.models, "model.onnx", scaling_model(2))
    with opened(tmp_path) as store:
        room.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": SECRET},
                "stringData": dict(store.entries),
            }
        )
        settings = {"artifacts": {"url": f"{store.url}/kept", "secretName": SECRET}}
        with operator_with(room.cluster, settings):
            agent = room.agent()
            agent.apply(room.spec())
            agent.wait_ready()

            assert DOUBLED == agent.infer([ROW])["y"]

        own = f"kept/{room.kubectl.namespace}/artifacts/"
        assert any(own in path and path.endswith("/manifest.json") for path in store.paths())
        assert [] == [
            claim["metadata"]["name"]
            for claim in room.kubectl.items("persistentvolumeclaims")
            if claim["metadata"]["name"] == "dlagent-artifacts"
        ]
