"""The store on gs://: fake-gcs-server, by gcsfs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import requests
from gcsfs.core import GCSFileSystem  # type: ignore[import-untyped]  # ships no types

from dlagent.adapters.object_services import SERVICES
from dlagent.adapters.object_store import ObjectStore
from tests.integration.stores.forwarding import forwarding
from tests.servers import clouds
from tests.unit.adapters.faulty_server import BUCKET, FaultyServer
from tests.unit.adapters.object_store_contract import ObjectStoreTests
from tests.unit.adapters.object_store_faults import FaultTests
from tests.unit.artifacts import KEY, artifact
from tests.unit.store.object_store_way import WayTests

LEAST_PART_BYTES = 2**18


class FaultyGoogle(FaultyServer):
    scheme = "gs"
    refusal = "403 Forbidden"
    of_a_source = {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"}

    def __init__(self, server: str) -> None:
        super().__init__(forwarding(server))

    def make_bucket(self) -> None:
        made = requests.post(f"{self.url}/storage/v1/b", json={"name": BUCKET}, timeout=10)
        made.raise_for_status()

    @property
    def environment(self) -> Mapping[str, str]:
        return {"STORAGE_EMULATOR_HOST": self.url}

    def filesystem(self) -> Any:
        return GCSFileSystem(
            token="anon", endpoint_url=self.url, use_listings_cache=False, skip_instance_cache=True
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyGoogle]:
    folder = tmp_path_factory.mktemp("gcs")
    with clouds.google(folder) as url, FaultyGoogle(url).running() as found:
        yield found


class TestGoogle(ObjectStoreTests):
    def test_what_is_larger_than_a_part_is_put_in_parts(
        self, server: FaultyGoogle, store: ObjectStore
    ) -> None:
        in_parts = replace(SERVICES["gs"], put_options={"chunksize": LEAST_PART_BYTES})
        large = bytes(range(256)) * 3000  # two parts and a half
        server.calm()

        ObjectStore(store._files, store._root, in_parts).publish(KEY, artifact(large))

        counted = sum("uploadType=resumable" in request for request in server.requests)
        assert 4 == counted, "one to begin with, and three parts"
        store.verify(KEY)


class TestFaultsOfGoogle(FaultTests):
    pass


class TestWay(WayTests):
    pass
