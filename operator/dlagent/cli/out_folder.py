"""The folder that a build is put into: tried before the build, emptied of an earlier one after."""

import json
import shutil
import tempfile
from pathlib import Path

from dlagent.adapters.store import FolderStore
from dlagent.cli.errors import CliError
from dlagent.domain.artifact.layout import (
    MANIFEST,
    MEMBERS,
    MODEL,
    REPORT,
    REPORT_PAGE,
    REPORT_PICTURE,
    ManifestError,
    file_table,
)

_FILES = (MANIFEST, REPORT, REPORT_PAGE, REPORT_PICTURE)  # the manifest first: it vouches for all
_FOLDERS = (MODEL, *MEMBERS)


def check_out(out: Path) -> None:
    """That a build can be put there. Leaves everything as it is.

    Raises:
        CliError: it cannot be written, or holds what no build has put there.
    """
    try:
        nearest = next(path for path in (out, *out.absolute().parents) if path.exists())
        with tempfile.TemporaryDirectory(dir=nearest):
            pass
        strange = out.exists() and any(out.iterdir()) and not _is_output(out)
    except OSError as error:
        raise _cannot(out, error) from error
    if strange:
        raise CliError(
            f"--out {out} is not empty, and not the output of an earlier build, which would be"
            " replaced; name another folder, or empty this one"
        )


def copy_out(store: FolderStore, key: str, out: Path) -> None:
    """The artifact's files in place of an earlier build's, each checked once more.

    The manifest comes last, so that it vouches for all.

    Raises:
        CliError: the folder cannot be written.
    """
    try:
        _remove_output(out)
        for path, entry in store.table(key).items():
            content = b"".join(store.verified_chunks(key, path, entry))
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_bytes(content)
        (out / MANIFEST).write_bytes(store.manifest(key))
    except OSError as error:
        raise _cannot(out, error) from error


def _is_output(folder: Path) -> bool:
    """Whether its manifest is that of an artifact."""
    try:
        manifest = (folder / MANIFEST).read_bytes()
        file_table(manifest, json.loads(manifest)["key"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, ManifestError):
        return False
    return True


def _remove_output(out: Path) -> None:
    """What a build puts there; Triton would serve a model that is left as one of its own."""
    for name in _FILES:
        (out / name).unlink(missing_ok=True)
    for name in _FOLDERS:
        if (out / name).exists():
            shutil.rmtree(out / name)


def _cannot(out: Path, error: OSError) -> CliError:
    return CliError(f"--out {out} cannot be written: {error.strerror or error}")
