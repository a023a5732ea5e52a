"""Zip archives from strangers: what they would unpack to is known before anything is unpacked."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlagent.build.failure import BuildError
from dlagent.domain.artifact.summary import FailureReason

MOST_ENTRIES = 100_000
_MOST_TABLE_BYTES = 16 << 20  # of so many entries with names of a usual length


@contextmanager
def open_archive(path: Path, max_bytes: int) -> Iterator[zipfile.ZipFile]:
    """The archive; unpacked it has at most `max_bytes`.

    Raises:
        BuildError: InvalidModel: it would unpack to more, or has too many entries.
        zipfile.BadZipFile, ValueError, OSError: it is none, or it is cut.
    """
    with _Opened(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > MOST_ENTRIES:
            raise _too_many()
        total = sum(entry.file_size for entry in entries)
        if total > max_bytes:
            raise BuildError(
                FailureReason.INVALID_MODEL,
                f"the archive would unpack to {total} bytes, and builder.maxSourceBytes in the"
                f" operator's settings allows {max_bytes}; torch.export.save packs nothing: write"
                " the file again with it",
            )
        file.table_is_read = True
        yield archive


class _Opened(io.BufferedReader):
    """A file whose table of entries is not read where it would take too much memory."""

    table_is_read = False

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.table_is_read and size is not None and size > _MOST_TABLE_BYTES:
            raise _too_many()
        return super().read(size)


def _too_many() -> BuildError:
    return BuildError(
        FailureReason.INVALID_MODEL,
        f"the archive has more than {MOST_ENTRIES} entries, as no program has; write the file again"
        " with torch.export.save",
    )
