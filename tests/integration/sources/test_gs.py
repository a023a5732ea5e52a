"""gs:// against fake-gcs-server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from gcsfs.core import GCSFileSystem  # type: ignore[import-untyped]  # ships no types
from gcsfs.retry import validate_response  # type: ignore[import-untyped]  # as above

from dlagent.build.failure import BuildError
from tests.integration.sources.object_store import ObjectStoreTests
from tests.servers import clouds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with clouds.google(tmp_path_factory.mktemp("gcs")) as url:
        yield url


class GoogleBucket:
    uri = "gs://models"

    def __init__(self, server: str) -> None:
        self._server = server
        made = requests.post(f"{server}/storage/v1/b", json={"name": "models"}, timeout=10)
        assert made.status_code in (200, 409)

    def put(self, name: str, content: bytes) -> None:
        requests.post(
            f"{self._server}/upload/storage/v1/b/models/o",
            params={"uploadType": "media", "name": name},
            data=content,
            timeout=30,
        ).raise_for_status()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> GoogleBucket:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
    return GoogleBucket(server)


class TestGoogle(ObjectStoreTests):
    pass


@pytest.mark.parametrize("status", [401, 403])
def test_missing_credentials_are_told_as_such(
    bucket: GoogleBucket, room: Any, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """fake-gcs-server lets everybody in, so this answer is made here and judged by gcsfs."""
    error = {"code": status, "message": "Anonymous caller does not have storage.objects.get access"}
    answer = json.dumps({"error": error})
    monkeypatch.setattr(
        GCSFileSystem, "info", lambda *_: validate_response(status, answer, "b/models/o/net.onnx")
    )

    with pytest.raises(BuildError, match="name a Secret with credentials") as refusal:
        room.download("gs://models/net.onnx")
    assert "SourceUnavailable" == refusal.value.reason
