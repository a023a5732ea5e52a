"""P4: nothing half-written can be loaded, whatever is killed, full or cut, and wherever."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    Disk,
    FolderStore,
    Publication,
    is_out_of_space,
    open_store,
)
from tests.unit.adapters.faulty_disk import FaultyDisk, full, killed_at, steps_of
from tests.unit.artifacts import CONFIG, KEY, artifact, ensemble

LONG_AGO = 1_000_000_000.0


def assert_complete_or_absent(root: Path) -> bool:
    """What a loader sees: everything, verified, or nothing. True where everything."""
    try:
        FolderStore(root).verify(KEY)
    except ArtifactMissingError:
        return False
    return True


def test_what_was_published_is_read_back(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    assert Publication.PUBLISHED == store.publish(KEY, artifact())

    store.verify(KEY)
    table = store.table(KEY)
    path = "model/config.pbtxt"
    assert b"max_batch_size: 8\n" == b"".join(store.verified_chunks(KEY, path, table[path]))
    assert [] == list((tmp_path / "staging").iterdir())


def test_a_full_disk_at_any_step_publishes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    def publish(disk: Disk) -> Publication:
        return FolderStore(tmp_path / "count", disk).publish(KEY, artifact())

    for step in range(steps_of(publish, removals=False)):
        root = tmp_path / str(step)
        with pytest.raises(OSError, match="No space left") as failure:
            FolderStore(root, FaultyDisk(step, full, removals=False)).publish(KEY, artifact())
        assert is_out_of_space(failure.value)
        assert_complete_or_absent(root)
        assert not list(root.glob("staging/*"))

        assert FolderStore(root).publish(KEY, artifact()) in Publication
        FolderStore(root).verify(KEY)


def published(root: Path) -> FolderStore:
    store = FolderStore(root)
    store.publish(KEY, artifact())
    return store


def damaged(root: Path) -> FolderStore:
    store = published(root)
    (root / "artifacts" / KEY / CONFIG).write_bytes(b"")
    return store


def aged(root: Path) -> FolderStore:
    store = published(root)
    os.utime(root / "artifacts" / KEY, (LONG_AGO, LONG_AGO))
    return store


def remove(store: FolderStore) -> bool:
    return store.remove(KEY, now=LONG_AGO + 10, older_than_seconds=5)


@pytest.mark.parametrize(
    ("prepare", "act", "outcomes"),
    [
        pytest.param(
            FolderStore,
            lambda store: store.publish(KEY, artifact()),
            {True, False},
            id="publishing: all after the rename, nothing before it",
        ),
        pytest.param(
            published,
            lambda store: store.publish(KEY, artifact(b"other")),
            {True},
            id="publishing what is there already: it stays",
        ),
        pytest.param(
            damaged,
            lambda store: store.set_aside(KEY),
            {False},
            id="setting aside what is damaged: it never looks whole",
        ),
        pytest.param(
            published,
            lambda store: store.set_aside(KEY),
            {True, False},
            id="setting aside what another build repaired: whole or away",
        ),
        pytest.param(aged, remove, {True, False}, id="removing what is old: whole or gone"),
        pytest.param(
            published, remove, {True, False}, id="not removing what is young: whole or away"
        ),
        pytest.param(aged, lambda store: store.touch(KEY), {True}, id="touching: it stays"),
        pytest.param(
            aged,
            lambda store: store.sweep_staging(2e10, 1),
            {True},
            id="sweeping what the dead left: it stays",
        ),
        pytest.param(
            FolderStore,
            lambda store: store.publish(KEY, ensemble()),
            {True, False},
            id="publishing an ensemble",
        ),
    ],
)
def test_a_kill_at_any_step_leaves_all_or_nothing_and_the_next_run_completes(
    tmp_path: Path,
    prepare: Callable[[Path], FolderStore],
    act: Callable[[FolderStore], object],
    outcomes: set[bool],
) -> None:
    prepare(tmp_path / "count")
    left_by_the_dead(tmp_path / "count")
    steps = steps_of(lambda disk: act(FolderStore(tmp_path / "count", disk)))
    seen = set()
    for step in range(steps):
        root = tmp_path / str(step)
        prepare(root)
        left_by_the_dead(root)
        killed_at(step, partial(act_on, root, act))
        seen.add(is_whole(root))

        store = FolderStore(root)
        if not is_whole(root):
            store.set_aside(KEY)
            assert Publication.PUBLISHED == store.publish(KEY, artifact())
        store.verify(KEY)

        store.sweep_staging(now=2e10, older_than_seconds=86400)
        assert not list(root.glob("staging/*"))
    assert outcomes == seen


def act_on(root: Path, act: Callable[[FolderStore], object], disk: Disk) -> None:
    act(FolderStore(root, disk))


def left_by_the_dead(root: Path) -> None:
    half = root / "staging/k.0/model"
    half.mkdir(parents=True, exist_ok=True)
    (half / "config.pbtxt").write_bytes(b"max")


def is_whole(root: Path) -> bool:
    """What a loader sees: everything, verified; else it refuses to load anything."""
    try:
        FolderStore(root).verify(KEY)
    except (ArtifactMissingError, ArtifactCorruptError):
        return False
    return True


SIDECAR = "manifest.json.sha256"


@pytest.mark.parametrize(
    ("files", "path"),
    [
        pytest.param(files, path, id=f"{path} of {kind}")
        for kind, files in (("a model", artifact(b"network")), ("an ensemble", ensemble()))
        for path in (*sorted(files), SIDECAR)
    ],
)
def test_a_byte_flipped_or_cut_anywhere_is_found_and_built_again(
    tmp_path: Path, files: dict[str, bytes], path: str
) -> None:
    store = FolderStore(tmp_path)
    store.publish(KEY, files)
    file = tmp_path / "artifacts" / KEY / path
    whole = file.read_bytes()
    for place in range(len(whole)):
        flipped = whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :]
        for damage in (flipped, whole[:place]):
            file.write_bytes(damage)
            with pytest.raises(ArtifactCorruptError):
                store.verify(KEY)
    store.set_aside(KEY)
    assert Publication.PUBLISHED == store.publish(KEY, files)
    store.verify(KEY)


@pytest.mark.parametrize("path", [*sorted(artifact()), SIDECAR])
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-1], id="a byte cut off"),
        pytest.param(lambda data: b"", id="emptied"),
        pytest.param(lambda data: bytes([data[0] ^ 4]) + data[1:], id="a bit flipped at the start"),
        pytest.param(lambda data: data[:-1] + bytes([data[-1] ^ 4]), id="and at the end"),
        pytest.param(lambda data: data + b"\0", id="a byte too many"),
        pytest.param(None, id="gone"),
    ],
)
def test_damage_is_found(
    tmp_path: Path, path: str, damage: Callable[[bytes], bytes] | None
) -> None:
    store = FolderStore(tmp_path)
    store.publish(KEY, artifact())
    file = tmp_path / "artifacts" / KEY / path
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage(file.read_bytes()))

    with pytest.raises(ArtifactCorruptError, match=path.replace(".", r"\.")):
        store.verify(KEY)


def test_a_link_in_place_of_a_file_is_damage(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.publish(KEY, artifact())
    file = tmp_path / "artifacts" / KEY / "model/1/model.onnx"
    elsewhere = file.rename(tmp_path / "elsewhere.onnx")
    file.symlink_to(elsewhere)

    with pytest.raises(ArtifactCorruptError, match="missing"):
        store.verify(KEY)


def test_no_artifact_is_not_a_corrupt_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissingError):
        FolderStore(tmp_path).verify(KEY)


def test_a_disk_that_forgets_is_found_before_publication(tmp_path: Path) -> None:
    class Forgetful(Disk):
        def write(self, path: Path, chunks: Iterator[bytes]) -> None:
            super().write(path, iter((b"".join(chunks)[:-1],)))

    with pytest.raises(ArtifactCorruptError):
        FolderStore(tmp_path, Forgetful()).publish(KEY, artifact())

    with pytest.raises(ArtifactMissingError):
        FolderStore(tmp_path).verify(KEY)


def test_of_two_builds_of_a_key_the_first_wins(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.publish(KEY, artifact(b"first"))

    assert Publication.ALREADY_THERE == store.publish(KEY, artifact(b"second"))

    store.verify(KEY)
    assert b"first" == (tmp_path / "artifacts" / KEY / "model/1/model.onnx").read_bytes()
    assert [] == list((tmp_path / "staging").iterdir())


def test_processes_that_publish_a_key_at_once_publish_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    results: multiprocessing.Queue[str] = context.Queue()

    def publish(number: int) -> None:
        barrier.wait()
        outcome = FolderStore(tmp_path).publish(KEY, artifact(bytes([number]) * 100))
        results.put(outcome.name)

    children = [context.Process(target=publish, args=(number,)) for number in range(4)]
    for child in children:
        child.start()
    outcomes = sorted(results.get(timeout=30) for _ in children)
    for child in children:
        child.join(30)

    assert ["ALREADY_THERE"] * 3 + ["PUBLISHED"] == outcomes
    FolderStore(tmp_path).verify(KEY)
    assert [] == list((tmp_path / "staging").iterdir())


def test_a_corrupt_artifact_is_set_aside_and_can_be_published_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.publish(KEY, artifact())
    (tmp_path / "artifacts" / KEY / "model/config.pbtxt").write_bytes(b"")

    store.set_aside(KEY)

    with pytest.raises(ArtifactMissingError):
        store.verify(KEY)
    assert Publication.PUBLISHED == store.publish(KEY, artifact())
    store.verify(KEY)


def test_what_another_build_has_repaired_meanwhile_is_put_back(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.publish(KEY, artifact())

    store.set_aside(KEY)

    store.verify(KEY)


def test_setting_aside_what_is_gone_is_nothing(tmp_path: Path) -> None:
    FolderStore(tmp_path).set_aside(KEY)


def test_a_location_that_is_no_url_is_a_folder(tmp_path: Path) -> None:
    published(tmp_path)

    open_store(str(tmp_path)).verify(KEY)
