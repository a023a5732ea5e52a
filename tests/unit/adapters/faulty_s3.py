"""An S3 server (moto's) with faults."""

from collections.abc import Mapping
from typing import Any

import s3fs  # type: ignore[import-untyped]  # ships no types
import urllib3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from tests.unit.adapters.faulty_server import BUCKET, FaultyServer

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}


class FaultyS3(FaultyServer):
    scheme = "s3"
    refusal = "503 Service Unavailable"
    of_a_source = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "source"}

    def __init__(self) -> None:
        super().__init__(DomainDispatcherApplication(create_backend_app))

    def make_bucket(self) -> None:
        # All of moto's servers in a process have the same buckets.
        urllib3.request("POST", f"{self.url}/moto-api/reset")
        self.filesystem().mkdir(BUCKET)

    @property
    def environment(self) -> Mapping[str, str]:
        return KEYS | {"AWS_ENDPOINT_URL": self.url}

    def filesystem(self) -> Any:
        """It tries each request once only."""
        found = s3fs.S3FileSystem(
            key=KEYS["AWS_ACCESS_KEY_ID"],
            secret=KEYS["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.url,
            config_kwargs={"retries": {"total_max_attempts": 1}},
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        found.retries = 1
        return found
