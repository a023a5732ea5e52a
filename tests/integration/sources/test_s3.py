"""s3:// against moto's server: what a build reads, and what it is told where it cannot."""

from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types
import pytest
import requests
from moto.server import ThreadedMotoServer

from dlagent.build.failure import BuildError
from tests.integration.sources.object_store import ObjectStoreTests

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


class S3Bucket:
    uri = "s3://models"

    def __init__(self) -> None:
        self._bucket = boto3.resource("s3").Bucket("models")
        self._bucket.create()

    def put(self, name: str, content: bytes, **keywords: Any) -> None:
        self._bucket.put_object(Key=name, Body=content, **keywords)

    def remove(self) -> None:
        self._bucket.objects.all().delete()
        self._bucket.delete()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Bucket]:
    """The bucket that the environment gives access to."""
    variables = {**KEYS, "AWS_ENDPOINT_URL": server, "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = S3Bucket()
    yield found
    found.remove()


class TestS3(ObjectStoreTests):
    pass


def test_a_server_that_is_not_there_is_given_up(
    bucket: S3Bucket, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(BuildError, match="retries did not help"):
        room.download("s3://models/net.onnx")


@pytest.fixture
def closed(server: str) -> Iterator[Any]:
    """From the first call on the server lets nobody in whom it does not know: nobody at all."""
    reset = f"{server}/moto-api/reset-auth"
    yield lambda: requests.post(reset, data=b"0", timeout=10).raise_for_status()
    requests.post(reset, data=b"inf", timeout=10).raise_for_status()


@pytest.mark.parametrize("keys", [True, False], ids=["wrong keys", "no keys"])
def test_missing_credentials_are_told_as_such(
    bucket: S3Bucket, closed: Any, room: Any, monkeypatch: pytest.MonkeyPatch, keys: bool
) -> None:
    bucket.put("net.onnx", b"x")
    closed()
    if not keys:
        for name in KEYS:
            monkeypatch.delenv(name)

    with pytest.raises(BuildError, match="name a Secret with credentials") as refusal:
        room.download("s3://models/net.onnx")
    assert "SourceUnavailable" == refusal.value.reason
    assert [] == room.waits


def test_without_keys_a_public_bucket_is_read(
    bucket: S3Bucket, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("net.onnx", b"for all", ACL="public-read")
    for name in KEYS:
        monkeypatch.delenv(name)

    assert b"for all" == room.download("s3://models/net.onnx")
