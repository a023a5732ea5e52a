"""NumPy's .npz files, read without trusting what they say of themselves. `dataset` reads by it.

numpy.load would unpickle what a header calls objects, allocate what it calls a shape, and unpack
a member whatever its size.
"""

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from dlagent.build.failure import BuildError
from dlagent.domain.artifact.summary import FailureReason

HOW = "save it by numpy.savez_compressed(FILE, INPUT=..., labels=...)"

_CHUNK_BYTES = 1 << 20
_NO_PLACE = 1 << 63
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 1
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, ValueError)
# What numpy's parser lets out of a header that is no literal, besides ValueError.
_BAD_HEADER = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, TokenError)


def invalid(why: str, remedy: str) -> BuildError:
    """The data set cannot be used."""
    return BuildError(FailureReason.INVALID_DATASET, f"the data set: {why}; {remedy}")


class _SmallReads(io.FileIO):
    """A file of which only little is read at once, and only inside, whatever a header says.

    zipfile reads the list of members in one piece, of the size that the file itself claims, and
    looks for members where the list says.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """As FileIO.

        Raises:
            BuildError: InvalidDataset: more than a chunk would be read.
        """
        asked = _CHUNK_BYTES + 1 if size is None or size < 0 else size
        data = super().read(min(asked, _CHUNK_BYTES + 1)) or b""
        if len(data) > _CHUNK_BYTES:
            raise invalid("its list of members is too long", HOW)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """As FileIO; BadZipFile for a place that no file has."""
        if whence == io.SEEK_SET and not 0 <= offset < _NO_PLACE:
            raise zipfile.BadZipFile(f"it refers to its byte {offset}")
        return super().seek(offset, whence)


class Array:
    """One array of the file; type and shape are as its header says, and were not used yet."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> None:
        self._archive, self._info, self._name = archive, info, name
        with self._guarded() as file:
            self.shape, self._fortran, self.dtype = self._header(file)
            self._start = file.tell()

    def read(self) -> NDArray[Any]:
        """The values, in C order. Memory is taken for as many bytes as the file holds."""
        size = math.prod(self.shape) * self.dtype.itemsize
        held = self._info.file_size - self._start
        if size != held:
            raise self._damaged(f"its header promises {size} bytes and {held} are there")
        data = np.empty(size, dtype=np.uint8)
        filled = 0
        with self._guarded() as file:
            file.read(self._start)
            while chunk := file.read(_CHUNK_BYTES):
                data[filled : filled + len(chunk)] = np.frombuffer(chunk, dtype=np.uint8)
                filled += len(chunk)
        if filled != size:
            raise self._damaged("it ends too early")
        # numpy knows no bool but 0 and 1.
        values = data.view(self.dtype) if self.dtype.kind != "b" else data != 0
        if self._fortran:
            return np.ascontiguousarray(values.reshape(self.shape[::-1]).T)
        return values.reshape(self.shape)

    def _header(self, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        try:
            version = npy.read_magic(file)
            if version not in _HEADERS:
                raise ValueError(f"version {version}")
            shape, fortran, dtype = _HEADERS[version](file)
        except _BAD_HEADER as error:
            raise self._damaged("its header is not one that numpy writes") from error
        if dtype.hasobject:
            raise invalid(
                f"the array {self._name} holds Python objects, which can run any code when they"
                " are read",
                "save arrays of numbers, all examples of the same shape",
            )
        return shape, fortran, dtype

    @contextmanager
    def _guarded(self) -> Iterator[IO[bytes]]:
        try:
            with self._archive.open(self._info) as file:
                yield file
        except _BAD_ZIP as error:
            raise self._damaged(str(error) or "it ends too early") from error

    def _damaged(self, why: str) -> BuildError:
        return invalid(f"the array {self._name} is damaged: {why}", f"upload it again, or {HOW}")


class Npz:
    """An open file: the names of its arrays, and each by its name."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._infos = archive.infolist()
        self.names = [info.filename.removesuffix(".npy") for info in self._infos]

    def check_size(self, max_bytes: int) -> None:
        """That all arrays together are as small, unpacked.

        What a member claims is what is unpacked of it at most.
        """
        if sum(info.file_size for info in self._infos) > max_bytes:
            raise invalid(
                f"its arrays are larger than {max_bytes:,} bytes unpacked",
                "give fewer examples, or raise builder.maxSourceBytes in the operator's settings",
            )

    def array(self, name: str) -> Array:
        info = self._infos[self.names.index(name)]
        if info.compress_type not in _METHODS or info.flag_bits & _ENCRYPTED:
            raise invalid(f"the array {name} is packed in a way that numpy does not use", HOW)
        return Array(self._archive, info, name)


@contextmanager
def open_npz(path: Path) -> Iterator[Npz]:
    """Open the file.

    Raises:
        BuildError: InvalidDataset, here or where an array is read.
        OSError: it cannot be read.
    """
    with _SmallReads(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except _BAD_ZIP as error:
            raise invalid(
                f"it is not a .npz file, or was cut ({error})", f"upload it again, or {HOW}"
            ) from error
        with archive:
            yield Npz(archive)
