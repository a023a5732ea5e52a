"""What a sweep asks of a store in a folder: what is there, how old it is, and that it goes."""

from functools import partial
from pathlib import Path

import pytest

from dlagent.adapters.store import ArtifactCorruptError, ArtifactMissingError, FolderStore
from tests.unit.adapters.faulty_disk import FaultyDisk, steps_of
from tests.unit.adapters.test_store import LONG_AGO, aged, remove
from tests.unit.artifacts import KEY, artifact


@pytest.mark.parametrize(
    ("age_seconds", "kept"),
    [
        pytest.param(10, True, id="of a build that may be alive"),
        pytest.param(90_000, False, id="of a dead one"),
    ],
)
def test_stale_staging_is_swept(tmp_path: Path, age_seconds: int, kept: bool) -> None:
    left = tmp_path / "staging" / "k.0"
    (left / "model").mkdir(parents=True)
    now = left.stat().st_mtime + age_seconds

    FolderStore(tmp_path).sweep_staging(now, older_than_seconds=86_400)

    assert kept == left.exists()


def test_an_empty_store_has_nothing_and_sweeping_it_is_nothing(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    assert 0 == store.sweep_staging(0, 0)
    assert [] == store.artifacts()
    assert not store.remove(KEY, 0, 0)
    with pytest.raises(ArtifactMissingError):
        store.touch(KEY)


def test_what_is_stored_is_listed_with_its_age_and_size(tmp_path: Path) -> None:
    store = aged(tmp_path)
    (tmp_path / "artifacts/stray").write_bytes(b"no folder")

    (found,) = store.artifacts()

    files = artifact().values()
    sidecar = len(f"{'0' * 64}  manifest.json\n")
    assert (KEY, LONG_AGO) == (found.key, found.used_at)
    assert sum(map(len, files)) + sidecar == found.size_bytes


def test_what_is_old_is_removed_and_what_was_touched_is_not(tmp_path: Path) -> None:
    store = aged(tmp_path / "old")
    assert remove(store)
    assert [] == store.artifacts()

    store = aged(tmp_path / "touched")
    store.touch(KEY)
    assert not remove(store)
    store.verify(KEY)


def test_a_build_at_any_step_of_a_removal_ends_with_an_artifact_that_stays(tmp_path: Path) -> None:
    """What the build of a known key does, run as a whole between two steps of a sweep."""
    found = set()

    def build(root: Path) -> None:
        store = FolderStore(root)
        try:
            store.touch(KEY)
            store.verify(KEY)
            found.add(True)
        except (ArtifactMissingError, ArtifactCorruptError):
            store.set_aside(KEY)
            store.publish(KEY, artifact())
            found.add(False)

    aged(tmp_path / "count")
    for step in range(steps_of(lambda disk: remove(FolderStore(tmp_path / "count", disk)))):
        root = tmp_path / str(step)
        aged(root)

        remove(FolderStore(root, FaultyDisk(step, partial(build, root))))

        FolderStore(root).verify(KEY)
        FolderStore(root).sweep_staging(2e10, 1)
        FolderStore(root).verify(KEY)
    assert {True, False} == found, "it found the artifact before the rename, and not after"
