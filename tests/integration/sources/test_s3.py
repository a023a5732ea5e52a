"""s3:// against moto's server: what a build reads, and what it is told where it cannot."""

from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types
import pytest
import requests
from moto.server import ThreadedMotoServer

from dlagent.build.failure import BuildError
from dlagent.build.sources import filesystem

CONTENT = bytes(range(256)) * 80_000  # 20 MB: three pieces
OTHER = CONTENT[::-1]
PIECE = filesystem._PIECE_BYTES
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The bucket `models`, which the environment gives access to."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": server}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    found = boto3.resource("s3").Bucket("models")
    found.create()
    yield found
    found.objects.all().delete()
    found.delete()


def test_an_object_arrives_whole(bucket: Any, room: Any) -> None:
    bucket.put_object(Key="shoes/v 3+#.onnx", Body=CONTENT)

    assert CONTENT == room.download("s3://models/shoes/v 3+#.onnx")
    assert [] == room.waits


def test_an_empty_object_arrives(bucket: Any, room: Any) -> None:
    bucket.put_object(Key="empty.onnx", Body=b"")

    assert b"" == room.download("s3://models/empty.onnx")


def fails_once(
    monkeypatch: pytest.MonkeyPatch, bucket: Any, at: int, then: bytes | None = None
) -> list[int]:
    """The connection breaks at this offset, once; the object is replaced by `then` meanwhile.

    The offsets that were asked for.
    """
    import s3fs  # type: ignore[import-untyped]  # ships no types

    asked: list[int] = []
    fetch = s3fs.S3File._fetch_range

    def broken(file: Any, start: int, end: int) -> Any:
        asked.append(start)
        if start == at and asked.count(at) == 1:
            if then is not None:
                bucket.put_object(Key="net.onnx", Body=then)
            raise ConnectionResetError("the connection is gone")
        return fetch(file, start, end)

    monkeypatch.setattr(s3fs.S3File, "_fetch_range", broken)
    return asked


def test_a_cut_download_goes_on_where_it_was(
    bucket: Any, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_object(Key="net.onnx", Body=CONTENT)
    asked = fails_once(monkeypatch, bucket, PIECE)

    assert CONTENT == room.download("s3://models/net.onnx")
    assert [0, PIECE, PIECE, 2 * PIECE] == asked


def test_an_object_that_changed_after_the_cut_is_not_stitched_together(
    bucket: Any, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_object(Key="net.onnx", Body=CONTENT)
    asked = fails_once(monkeypatch, bucket, PIECE, then=OTHER)

    assert OTHER == room.download("s3://models/net.onnx")
    assert [0, PIECE, 0, PIECE, 2 * PIECE] == asked


def test_an_object_that_changes_between_two_pieces_is_not_stitched_together(
    bucket: Any, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    bucket.put_object(Key="net.onnx", Body=CONTENT)
    fetch = s3fs.S3File._fetch_range

    def replaced(file: Any, start: int, end: int) -> Any:
        piece = fetch(file, start, end)
        if start == 0:
            bucket.put_object(Key="net.onnx", Body=OTHER)
        return piece

    monkeypatch.setattr(s3fs.S3File, "_fetch_range", replaced)

    assert OTHER == room.download("s3://models/net.onnx")


def test_the_size_limit_holds(bucket: Any, room: Any) -> None:
    bucket.put_object(Key="net.onnx", Body=CONTENT)

    with pytest.raises(BuildError) as refusal:
        room.download("s3://models/net.onnx", max_bytes=len(CONTENT) - 1)
    assert "SourceTooLarge" == refusal.value.reason


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        pytest.param("s3://models/none.onnx", "is not there", id="no object"),
        pytest.param("s3://none/net.onnx", "is not there", id="no bucket"),
        pytest.param("s3://models/folder", "is a folder", id="a folder"),
    ],
)
def test_what_is_not_there_is_told_at_once(bucket: Any, room: Any, uri: str, why: str) -> None:
    bucket.put_object(Key="folder/net.onnx", Body=b"x")

    with pytest.raises(BuildError, match=why) as refusal:
        room.download(uri)
    assert "SourceUnavailable" == refusal.value.reason
    assert [] == room.waits


def test_a_server_that_is_not_there_is_given_up(
    bucket: Any, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(BuildError, match="retries did not help"):
        room.download("s3://models/net.onnx")


@pytest.fixture
def guarded(bucket: Any, server: str) -> Iterator[Any]:
    """The server knows no account and lets nobody in."""
    reset = f"{server}/moto-api/reset-auth"
    requests.post(reset, data=b"0", timeout=10).raise_for_status()
    yield bucket
    requests.post(reset, data=b"inf", timeout=10).raise_for_status()


@pytest.mark.parametrize("keys", [True, False], ids=["wrong keys", "no keys"])
def test_missing_credentials_are_told_as_such(
    bucket: Any, room: Any, monkeypatch: pytest.MonkeyPatch, keys: bool, request: Any
) -> None:
    bucket.put_object(Key="net.onnx", Body=b"x")
    request.getfixturevalue("guarded")
    if not keys:
        for name in KEYS:
            monkeypatch.delenv(name)

    with pytest.raises(BuildError, match="name a Secret with credentials") as refusal:
        room.download("s3://models/net.onnx")
    assert "SourceUnavailable" == refusal.value.reason
    assert [] == room.waits


def test_without_keys_a_public_bucket_is_read(
    bucket: Any, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_object(Key="net.onnx", Body=b"for all", ACL="public-read")
    for name in KEYS:
        monkeypatch.delenv(name)

    assert b"for all" == room.download("s3://models/net.onnx")
