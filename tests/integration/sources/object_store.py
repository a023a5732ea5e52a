"""What every object store must do: the same tests for s3://, gs:// and az://.

A module of a store defines the fixture `bucket`, a `Bucket`, and a class that inherits these tests.
"""

from typing import Any, Protocol

import pytest
from fsspec.spec import AbstractBufferedFile  # type: ignore[import-untyped]  # ships no types

from dlagent.build.failure import BuildError
from dlagent.build.sources import filesystem
from dlagent.build.sources.base import Access, Wanted
from dlagent.build.sources.download import RETRIES
from dlagent.build.sources.registry import beside, remote_file

CONTENT = bytes(range(256)) * 80_000  # 20 MB: three pieces
OTHER = CONTENT[::-1]
PIECE = filesystem._PIECE_BYTES


class Bucket(Protocol):
    uri: str  # without a slash at its end

    def put(self, name: str, content: bytes) -> None: ...


def interrupt(
    monkeypatch: pytest.MonkeyPatch, bucket: Bucket, at: int, then: bytes | None = None
) -> list[int]:
    """Once, at this offset, the connection breaks; `then` replaces net.onnx meanwhile.

    The offsets that are read, as they come.
    """
    asked: list[int] = []
    read = AbstractBufferedFile.read

    def broken(file: Any, length: int = -1) -> Any:
        asked.append(file.loc)
        if file.loc == at and asked.count(at) == 1:
            if then is not None:
                bucket.put("net.onnx", then)
            raise ConnectionResetError("the connection is gone")
        return read(file, length)

    monkeypatch.setattr(AbstractBufferedFile, "read", broken)
    return asked


class ObjectStoreTests:
    def test_an_object_arrives_whole(self, bucket: Bucket, room: Any) -> None:
        bucket.put("shoes/v 3+.onnx", CONTENT)

        assert CONTENT == room.download(f"{bucket.uri}/shoes/v 3+.onnx")
        assert [] == room.waits

    def test_an_empty_object_arrives(self, bucket: Bucket, room: Any) -> None:
        bucket.put("empty.onnx", b"")

        assert b"" == room.download(f"{bucket.uri}/empty.onnx")

    def test_an_object_beside_another_is_found(self, bucket: Bucket, room: Any) -> None:
        bucket.put("shoes/net.onnx.data", b"weights")

        assert b"weights" == room.download(beside(f"{bucket.uri}/shoes/net.onnx", "net.onnx.data"))

    def test_a_cut_download_goes_on_where_it_was(
        self, bucket: Bucket, room: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket.put("net.onnx", CONTENT)
        asked = interrupt(monkeypatch, bucket, PIECE)

        assert CONTENT == room.download(f"{bucket.uri}/net.onnx")
        assert [0, PIECE, PIECE, 2 * PIECE] == asked

    def test_an_object_that_changed_after_the_cut_is_not_stitched_together(
        self, bucket: Bucket, room: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket.put("net.onnx", CONTENT)
        asked = interrupt(monkeypatch, bucket, PIECE, then=OTHER)

        assert OTHER == room.download(f"{bucket.uri}/net.onnx")
        assert [0, PIECE, 0, PIECE, 2 * PIECE] == asked

    def test_an_object_that_changes_between_two_pieces_is_not_stitched_together(
        self, bucket: Bucket, room: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket.put("net.onnx", CONTENT)
        read = AbstractBufferedFile.read
        replaced: list[bool] = []

        def replace(file: Any, length: int = -1) -> Any:
            piece = read(file, length)
            if not replaced:
                replaced.append(True)
                bucket.put("net.onnx", OTHER)
            return piece

        monkeypatch.setattr(AbstractBufferedFile, "read", replace)

        assert OTHER == room.download(f"{bucket.uri}/net.onnx")

    def test_the_size_limit_holds(self, bucket: Bucket, room: Any) -> None:
        bucket.put("net.onnx", CONTENT)

        with pytest.raises(BuildError) as refusal:
            room.download(f"{bucket.uri}/net.onnx", max_bytes=len(CONTENT) - 1)
        assert "SourceTooLarge" == refusal.value.reason
        assert 0 == (room.folder / "copy").stat().st_size

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            pytest.param("none.onnx", "is not there", id="no object"),
            pytest.param("folder", "is a folder", id="a folder"),
        ],
    )
    def test_what_is_not_there_is_told_at_once(
        self, bucket: Bucket, room: Any, name: str, why: str
    ) -> None:
        bucket.put("folder/net.onnx", b"x")

        with pytest.raises(BuildError, match=why) as refusal:
            room.download(f"{bucket.uri}/{name}")
        assert "SourceUnavailable" == refusal.value.reason
        assert [] == room.waits

    def test_a_bucket_that_is_not_there_is_told_at_once(self, bucket: Bucket, room: Any) -> None:
        with pytest.raises(BuildError, match="is not there") as refusal:
            room.download(f"{bucket.uri}-of-another/net.onnx")
        assert "SourceUnavailable" == refusal.value.reason
        assert [] == room.waits

    def test_a_server_that_cannot_be_read_is_given_up(
        self, bucket: Bucket, room: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        uri = f"{bucket.uri}/net.onnx"
        found = remote_file(Wanted(uri, None, 1), Access(room.folder, room.credentials))
        store = found._filesystem  # type: ignore[attr-defined]  # what its class is

        def gone(*_: Any, **__: Any) -> Any:
            raise ConnectionRefusedError("nobody is there")

        monkeypatch.setattr(type(store), "info", gone)

        with pytest.raises(BuildError, match=r"nobody is there .* retries did not help"):
            room.download(uri)
        assert RETRIES == len(room.waits)
