"""Where a build is put: nothing but an earlier build is replaced, and that as a whole."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from dlagent.adapters.store import FolderStore
from dlagent.cli.errors import CliError
from dlagent.cli.out_folder import check_out, copy_out
from tests.unit import artifacts

OTHER = "o" * 64


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def found(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """It has an ensemble, and a single model under the key OTHER."""
    store = FolderStore(tmp_path / "store")
    store.publish(artifacts.KEY, artifacts.ensemble())
    store.publish(OTHER, artifacts.artifact(key=OTHER))
    return store


@pytest.mark.parametrize(
    ("name", "files"),
    [
        pytest.param("new/folder", {}, id="a folder that is not there"),
        pytest.param(".", {}, id="an empty folder"),
        pytest.param(".", artifacts.ensemble(), id="an earlier build"),
    ],
)
def test_a_good_folder_stays_as_it_is(
    tmp_path: Path, name: str, files: Mapping[str, bytes]
) -> None:
    put(tmp_path, files)

    check_out(tmp_path / name)

    assert files == found(tmp_path)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("file", "cannot be written: Not a directory", id="a file"),
        pytest.param("file/below", "cannot be written: Not a directory", id="below a file"),
        pytest.param("/proc/x", "cannot be written: No such file", id="where no one may write"),
        pytest.param("x" * 300, "cannot be written: File name too long", id="no name of a folder"),
        pytest.param(".", "is not empty, and not the output of", id="a folder of other files"),
    ],
)
def test_a_bad_folder_is_refused_before_the_build(tmp_path: Path, name: str, why: str) -> None:
    put(tmp_path, {"file": b"mine"})

    with pytest.raises(CliError, match=why) as refusal:
        check_out(tmp_path / name)

    assert str(refusal.value).startswith(f"--out {tmp_path / name} ")
    assert {"file": b"mine"} == found(tmp_path)


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(b'{"name": "an app"}', id="of something else"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff", id="no text"),
    ],
)
def test_a_manifest_of_something_else_is_kept(tmp_path: Path, manifest: bytes) -> None:
    put(tmp_path, {"manifest.json": manifest})

    with pytest.raises(CliError, match="not the output of an earlier build"):
        check_out(tmp_path)


def test_an_earlier_build_is_replaced_as_a_whole(tmp_path: Path, store: FolderStore) -> None:
    """Triton would serve a model that is left of it; what else is there is somebody's."""
    out = tmp_path / "out"
    put(out, {"notes.txt": b"mine"})
    copy_out(store, artifacts.KEY, out)

    copy_out(store, OTHER, out)

    assert artifacts.artifact(key=OTHER) | {"notes.txt": b"mine"} == found(out)


def test_a_link_in_the_place_of_a_folder_is_told_of(tmp_path: Path, store: FolderStore) -> None:
    out = tmp_path / "out"
    copy_out(store, artifacts.KEY, out)
    model = next(each for each in out.iterdir() if each.is_dir())
    model.rename(tmp_path / "elsewhere")
    model.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(CliError, match="out cannot be written: Cannot call rmtree on a symbolic"):
        copy_out(store, artifacts.KEY, out)


def test_a_folder_that_cannot_be_written_in_the_end_is_told_of(
    tmp_path: Path, store: FolderStore
) -> None:
    put(tmp_path, {"out": b"a file by now"})

    with pytest.raises(CliError, match="out cannot be written: Not a directory"):
        copy_out(store, artifacts.KEY, tmp_path / "out")
