"""The store on s3:// (moto's server, by s3fs), and how a store is opened by its URL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlagent.adapters.object_store import _Listed
from dlagent.adapters.store import FolderStore, open_store
from tests.unit.adapters.faulty_s3 import FaultyS3
from tests.unit.adapters.object_store_contract import ObjectStoreTests
from tests.unit.adapters.object_store_faults import FaultTests


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyS3]:
    with FaultyS3().running() as found:
        yield found


class TestS3(ObjectStoreTests):
    pass


class TestFaultsOfS3(FaultTests):
    pass


def test_the_age_of_what_is_used_is_that_of_its_newest_object() -> None:
    listed = _Listed()
    listed.add("digest/model/config.pbtxt", 100, 5)
    listed.add("manifest.json", 101, 6)
    listed.add("used", 500, 0)

    assert (True, 500, 11) == (listed.has_manifest, listed.used_at, listed.size_bytes)
    assert {"digest": 100} == listed.folders


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param(
            "ftp://host/path",
            "begins with one of s3://, gs://, az://",
            id="a scheme that is none of a store",
        ),
        pytest.param(
            "file:///tmp",
            "begins with one of s3://, gs://, az://",
            id="a folder in the clothes of a URL",
        ),
    ],
)
def test_another_url_is_refused(url: str, said: str) -> None:
    with pytest.raises(OSError, match=said):
        open_store(url)


def test_a_folder_is_opened_by_its_path(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path)), FolderStore)
