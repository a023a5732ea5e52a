"""The way of an artifact through s3://, by the programs of the pods."""

from collections.abc import Iterator

import pytest

from tests.unit.adapters.faulty_s3 import FaultyS3
from tests.unit.store.object_store_way import WayTests


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyS3]:
    with FaultyS3().running() as found:
        yield found


class TestS3(WayTests):
    pass
