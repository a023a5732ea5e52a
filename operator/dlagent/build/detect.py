"""Stage 2, first part: what kind of file the source is, before anything parses it."""

import pickle
import zipfile
from pathlib import Path

from dlagent.api.types import ModelFormat
from dlagent.build.archive import open_archive
from dlagent.build.failure import BuildError
from dlagent.domain.artifact.request import BuildRequest, effective_format
from dlagent.domain.artifact.summary import FailureReason

_PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
_PICKLE_MAGIC = bytes([pickle.PROTO[0]])
_ZIP_MAGIC = b"PK\x03\x04"

CONVERT = (
    "python -c \"import torch; m = torch.load('model.pt', weights_only=False).eval();"
    " torch.export.save(torch.export.export(m, (torch.zeros(2, *SHAPE),),"
    " dynamic_shapes=({0: torch.export.Dim('batch')},)), 'model.pt2')\""
)


def detect(request: BuildRequest, path: Path) -> ModelFormat:
    """The format of the source, where content, suffix and spec.model.format agree.

    Raises:
        BuildError: PickleRefused, InvalidModel.
    """
    format_ = effective_format(request)
    if format_ == ModelFormat.SAFE_TENSORS and _is_safetensors(path):
        return format_  # the length at its beginning can look like a pickle's
    if is_pickle(path, request.max_source_bytes):
        raise _pickle("it is a Python pickle, and loading one runs any code that is in it")
    if format_ is None:
        if request.source_uri.lower().endswith(_PICKLE_SUFFIXES):
            raise _pickle("files of this name are Python pickles")
        raise BuildError(
            FailureReason.INVALID_MODEL,
            f"the format of {request.source_uri} cannot be told from its name; set"
            " spec.model.format to ONNX, ExportedProgram or SafeTensors",
        )
    if format_ == ModelFormat.SAFE_TENSORS:
        raise BuildError(
            FailureReason.INVALID_MODEL,
            "the source is not a file of safetensors, or it is cut; write it again with"
            " safetensors.torch.save_model",
        )
    zipped = _starts_with(path, _ZIP_MAGIC)
    if format_ == ModelFormat.ONNX and zipped:
        raise BuildError(
            FailureReason.INVALID_MODEL,
            "the source is a zip archive, not an ONNX file; set spec.model.format to"
            " ExportedProgram if torch.export.save has written it",
        )
    if format_ == ModelFormat.EXPORTED_PROGRAM and not zipped:
        raise BuildError(
            FailureReason.INVALID_MODEL,
            "the source is not an archive of torch.export.save, or it is cut; write it again, or"
            " set spec.model.format to ONNX if it is one",
        )
    return format_


def is_pickle(path: Path, max_bytes: int) -> bool:
    """A bare pickle, or an archive of torch.save or torch.jit.save, which holds one.

    Raises:
        BuildError: InvalidModel: an archive that would unpack to more than `max_bytes`.
    """
    if _starts_with(path, _PICKLE_MAGIC):
        with path.open("rb") as file:
            head = file.read(2)
        return len(head) == 2 and 2 <= head[1] <= pickle.HIGHEST_PROTOCOL
    if not _starts_with(path, _ZIP_MAGIC):
        return False
    try:
        with open_archive(path, max_bytes) as archive:
            entries = archive.infolist()
            if not begins_whole(entries):
                return False
            return any(entry.filename.rpartition("/")[2] == "data.pkl" for entry in entries)
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _is_safetensors(path: Path) -> bool:
    """Eight bytes of length, and a JSON object of that length."""
    with path.open("rb") as file:
        head = file.read(9)
    length = int.from_bytes(head[:8], "little")
    return len(head) == 9 and head[8:] == b"{" and length <= path.stat().st_size - 8


def begins_whole(entries: list[zipfile.ZipInfo]) -> bool:
    """Whether the archive's table is that of the whole file.

    Of an archive that was cut, the table of an archive inside it may be found instead.
    """
    return min((entry.header_offset for entry in entries), default=0) == 0


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _pickle(why: str) -> BuildError:
    return BuildError(
        FailureReason.PICKLE_REFUSED,
        f"the source is refused: {why}. Convert it where you trust it (SHAPE is that of one"
        f" input): {CONVERT}",
    )
