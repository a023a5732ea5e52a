"""Downloads that are kept: verified at each use, bounded, whole or not there."""

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlagent.adapters.store import Disk
from dlagent.build.sources.cache import Downloads

NOW = 1_000_000_000.0  # before any file that a test makes
DAY = 86_400


class Kept:
    """A cache of at most 100 bytes."""

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self.root = root
        self.cache = Downloads(root / "store", 100, disk)

    def keep(self, content: bytes, used: float | None = None) -> str:
        source = self.root / "download"
        source.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        self.cache.keep(digest, source)
        if used is not None:
            os.utime(self.path(digest), (used, used))
        return digest

    def path(self, digest: str) -> Path:
        return self.root / "store/downloads" / digest

    def take(self, digest: str) -> bytes | None:
        target = self.root / "taken"
        size = self.cache.take(digest, target)
        if size is None:
            return None
        assert target.stat().st_size == size
        return target.read_bytes()

    def files(self) -> set[str]:
        return {path.name for path in (self.root / "store/downloads").iterdir()}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_what_was_kept_is_there(kept: Kept) -> None:
    digest = kept.keep(b"model")

    assert b"model" == kept.take(digest)
    assert {digest} == kept.files()


def test_what_was_not_kept_is_not_there(kept: Kept) -> None:
    assert kept.take("0" * 64) is None


def test_a_damaged_file_is_removed_and_not_used(kept: Kept) -> None:
    digest = kept.keep(b"model")
    kept.path(digest).write_bytes(b"mod3l")

    assert kept.take(digest) is None
    assert set() == kept.files()


def test_what_was_not_used_for_the_longest_time_makes_room(kept: Kept) -> None:
    used = kept.keep(b"b" * 40, used=NOW - 4)
    old = kept.keep(b"a" * 40, used=NOW - 3)
    kept.take(used)

    new = kept.keep(b"c" * 30)

    assert {used, new} == kept.files()
    assert kept.take(old) is None


def test_a_file_above_the_limit_is_not_kept_and_costs_no_other(kept: Kept) -> None:
    small = kept.keep(b"a" * 40)
    kept.keep(b"b" * 101)

    assert {small} == kept.files()


class FullDisk(Disk):
    """Full after half of a file."""

    def write(self, path: Path, chunks: Iterator[bytes]) -> None:
        path.write_bytes(next(chunks)[:3])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_a_full_disk_leaves_nothing_and_fails_no_build(tmp_path: Path) -> None:
    kept = Kept(tmp_path, FullDisk())

    kept.keep(b"model")

    assert set() == kept.files()


class DeadDisk(Disk):
    """The process is killed at the rename."""

    def rename(self, source: Path, target: Path) -> None:
        raise OSError(errno.EIO, "Input/output error", str(target))


def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output"):
        Kept(tmp_path, DeadDisk()).keep(b"model")


@pytest.mark.parametrize(
    ("age_seconds", "left"),
    [
        pytest.param(DAY - 1, True, id="another build may still write it"),
        pytest.param(DAY + 1, False, id="its build is dead"),
    ],
)
def test_the_sweep_removes_what_dead_builds_left(kept: Kept, age_seconds: int, left: bool) -> None:
    digest = kept.keep(b"model")
    part = kept.path(".0123456789abcdef")
    part.write_bytes(b"mo")
    os.utime(part, (NOW - age_seconds, NOW - age_seconds))

    kept.cache.sweep(NOW)

    assert {digest} | ({part.name} if left else set()) == kept.files()


def test_the_sweep_keeps_to_a_limit_that_was_lowered(kept: Kept) -> None:
    old = kept.keep(b"a" * 40, used=NOW - 2)
    new = kept.keep(b"b" * 40, used=NOW - 1)

    Downloads(kept.root / "store", 50).sweep(NOW)

    assert {new} == kept.files()
    assert kept.take(old) is None
