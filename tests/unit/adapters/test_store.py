"""P4: nothing half-written can be loaded, whatever is killed, full or cut, and wherever."""

import errno
import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    Disk,
    FolderStore,
    Publication,
    is_out_of_space,
)

KEY = "k" * 64


def artifact(network: bytes = b"network " * 1000) -> dict[str, bytes]:
    files = {
        "model/1/model.onnx": network,
        "model/config.pbtxt": b"max_batch_size: 8\n",
        "report.json": b"{}",
    }
    table = {
        path: {"sha256": hashlib.sha256(data).hexdigest(), "sizeBytes": len(data)}
        for path, data in files.items()
    }
    return files | {"manifest.json": json.dumps({"key": KEY, "files": table}).encode()}


class FaultyDisk(Disk):
    """A disk of which step number `at` fails: before it happens, or half-way for a write."""

    def __init__(self, at: int, fault: Callable[[], None]) -> None:
        self._at = at
        self._fault = fault
        self.steps = 0

    def make_folder(self, path: Path) -> None:
        self._step()
        super().make_folder(path)

    def write(self, path: Path, chunks: Iterator[bytes]) -> None:
        self._step()
        super().write(path, self._halves(chunks))
        self._step()

    def sync_folder(self, path: Path) -> None:
        self._step()
        super().sync_folder(path)

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)
        self._step()

    def _halves(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk[: len(chunk) // 2]
            self._step()
            yield chunk[len(chunk) // 2 :]

    def _step(self) -> None:
        if self.steps == self._at:
            self._fault()
        self.steps += 1


def full() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def steps_of_a_publication(folder: Path) -> int:
    disk = FaultyDisk(-1, full)
    FolderStore(folder, disk).publish(KEY, artifact())
    return disk.steps


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
    for step in range(steps_of_a_publication(tmp_path / "count")):
        root = tmp_path / str(step)
        with pytest.raises(OSError, match="No space left") as failure:
            FolderStore(root, FaultyDisk(step, full)).publish(KEY, artifact())
        assert is_out_of_space(failure.value)
        assert_complete_or_absent(root)
        assert not list(root.glob("staging/*"))

        assert FolderStore(root).publish(KEY, artifact()) in Publication
        FolderStore(root).verify(KEY)


def test_a_kill_at_any_step_leaves_all_or_nothing_and_the_next_run_completes(
    tmp_path: Path,
) -> None:
    steps = steps_of_a_publication(tmp_path / "count")
    seen = set()
    for step in range(steps):
        root = tmp_path / str(step)
        assert -signal.SIGKILL == run_in_child(publish_with_kill, root, step)
        seen.add(assert_complete_or_absent(root))

        FolderStore(root).publish(KEY, artifact())
        FolderStore(root).verify(KEY)

        FolderStore(root).sweep_staging(now=2e10, older_than_seconds=86400)
        assert not list(root.glob("staging/*"))
    assert {True, False} == seen, "a kill after the rename leaves all, one before it nothing"


def publish_with_kill(root: Path, step: int) -> None:
    FolderStore(root, FaultyDisk(step, kill)).publish(KEY, artifact())


def run_in_child(target: Callable[[Path, int], None], root: Path, number: int) -> int | None:
    child = multiprocessing.get_context("fork").Process(target=target, args=(root, number))
    child.start()
    child.join(30)
    return child.exitcode


@pytest.mark.parametrize("path", sorted(artifact()))
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


def test_sweeping_an_empty_store_is_nothing(tmp_path: Path) -> None:
    FolderStore(tmp_path).sweep_staging(0, 0)
