"""A file of an object store, through the store's fsspec file system.

The file is read in pieces by range. Between them it may be replaced, so what names its content (an
ETag, a generation) is compared at the beginning and at the end, and again after a cut.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]  # ships no types

from dlagent.build.sources.base import (
    CHUNK_BYTES,
    Interrupted,
    Stream,
    Wanted,
    not_allowed,
    unavailable,
)

TIMEOUT_SECONDS = 30
_PIECE_BYTES = 8 * CHUNK_BYTES
_NAMES_OF_CONTENT = ("generation", "ETag", "etag", "blob_id")


class FilesystemFile:
    """A file of `filesystem`; `is_forbidden` says True for errors that credentials would avoid."""

    def __init__(
        self,
        wanted: Wanted,
        filesystem: AbstractFileSystem,
        is_forbidden: Callable[[Exception], bool],
    ) -> None:
        self._wanted = wanted
        self._filesystem = filesystem
        self._is_forbidden = is_forbidden
        self._content: object = None

    @contextmanager
    def open(self, offset: int) -> Iterator[Stream]:
        info = self._info()
        content = _content(info)
        same = content is not None and content == self._content
        self._content = content
        start = offset if same else 0
        yield Stream(start, info["size"], self._chunks(start, info["size"]))

    def _chunks(self, start: int, size: int) -> Iterator[bytes]:
        with self._translated():
            file = self._filesystem.open(self._wanted.uri, "rb", cache_type="none")
        with file:
            while start < size:
                with self._translated():
                    file.seek(start)
                    chunk = file.read(_PIECE_BYTES)
                if not chunk:
                    raise Interrupted(f"the file ends after {start} of {size} bytes")
                start += len(chunk)
                yield chunk
        if _content(self._info()) != self._content:
            raise Interrupted("the file changed while it was read")

    def _info(self) -> dict[str, Any]:
        with self._translated():
            self._filesystem.invalidate_cache()
            info: dict[str, Any] = self._filesystem.info(self._wanted.uri)
        if info["type"] != "file":
            raise unavailable(self._wanted, "is a folder")
        return info

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise unavailable(self._wanted, "is not there") from error
        except Exception as error:  # the libraries' exceptions have no common base
            if self._is_forbidden(error):
                raise not_allowed(self._wanted, f"may not be read ({_line(error)})") from error
            raise Interrupted(_line(error)) from error


def _content(info: dict[str, Any]) -> object:
    """What names this very content; None where the store tells nothing of the kind."""
    found = next((info[name] for name in _NAMES_OF_CONTENT if info.get(name)), None)
    return None if found is None else (found, info["size"])


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__
