"""The store on az://: Azurite, by adlfs."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import adlfs  # type: ignore[import-untyped]  # ships no types
import pytest
from azure.storage.blob import BlobServiceClient

from tests.integration.stores.forwarding import forwarding
from tests.servers import clouds
from tests.servers.clouds import azure_connection
from tests.unit.adapters.faulty_server import BUCKET, FaultyServer
from tests.unit.adapters.object_store_contract import ObjectStoreTests
from tests.unit.adapters.object_store_faults import FaultTests
from tests.unit.store.object_store_way import WayTests

NOT_THE_KEY = base64.b64encode(bytes(32)).decode()


class FaultyAzure(FaultyServer):
    scheme = "az"
    refusal = "403 Forbidden"
    of_a_source = {
        "AZURE_STORAGE_CONNECTION_STRING": azure_connection("http://127.0.0.1:1", NOT_THE_KEY),
        "AZURE_STORAGE_ACCOUNT_KEY": NOT_THE_KEY,
    }

    def __init__(self, server: str) -> None:
        super().__init__(forwarding(server))

    def make_bucket(self) -> None:
        with BlobServiceClient.from_connection_string(azure_connection(self.url)) as service:
            service.create_container(BUCKET)

    @property
    def environment(self) -> Mapping[str, str]:
        return {"AZURE_STORAGE_CONNECTION_STRING": azure_connection(self.url)}

    def filesystem(self) -> Any:
        return adlfs.AzureBlobFileSystem(
            connection_string=azure_connection(self.url),
            use_listings_cache=False,
            skip_instance_cache=True,
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyAzure]:
    folder = tmp_path_factory.mktemp("azurite")
    with clouds.azure(folder) as url, FaultyAzure(url).running() as found:
        yield found


class TestAzure(ObjectStoreTests):
    pass


class TestFaultsOfAzure(FaultTests):
    pass


class TestWay(WayTests):
    pass
