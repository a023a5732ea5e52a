"""The cache: complete or not there, made once, named by its inputs."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent_local.cache import Recipe, Report, digest, ensure, files_digest


def silent(_message: str, _done: float | None) -> None:
    pass


def recipe(calls: list[str], error: Exception | None = None) -> Recipe:
    def make(folder: Path, _report: Report) -> None:
        calls.append("made")
        (folder / "half").write_text("")
        if error is not None:
            raise error
        (folder / "result").write_text("done")

    return Recipe("thing", "0123", make, "no time")


def test_a_result_is_made_once(tmp_path: Path) -> None:
    calls: list[str] = []

    paths = [ensure(recipe(calls), tmp_path / "cache", silent) for _ in range(2)]

    assert [tmp_path / "cache/thing-0123"] * 2 == paths
    assert ["made"] == calls
    assert "done" == (paths[0] / "result").read_text()


def test_a_failure_leaves_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    calls: list[str] = []

    with pytest.raises(OSError, match="disk"):
        ensure(recipe(calls, OSError("disk")), tmp_path, silent)

    assert [".thing.lock"] == [entry.name for entry in tmp_path.iterdir()]
    assert ensure(recipe(calls), tmp_path, silent).is_dir()


def test_what_a_killed_process_left_half_made_goes(tmp_path: Path) -> None:
    (tmp_path / ".thing-abc").mkdir()

    ensure(recipe([]), tmp_path, silent)

    assert {".thing.lock", "thing-0123"} == {entry.name for entry in tmp_path.iterdir()}


def test_results_that_nobody_used_for_weeks_go_when_a_new_one_is_made(tmp_path: Path) -> None:
    for name in ("thing-old", "thing-new", "other-old"):
        (tmp_path / name).mkdir()
    long_ago = time.time() - 15 * 24 * 3600
    for name in ("thing-old", "other-old"):
        os.utime(tmp_path / name, (long_ago, long_ago))

    ensure(recipe([]), tmp_path, silent)

    left = {entry.name for entry in tmp_path.iterdir() if entry.is_dir()}
    assert {"thing-new", "other-old", "thing-0123"} == left


@given(st.lists(st.text()), st.lists(st.text()))
def test_digests_differ_when_the_parts_do(one: list[str], other: list[str]) -> None:
    assert (one == other) == (digest(one) == digest(other))


def sources(folder: Path) -> Iterator[tuple[str, str]]:
    (folder / "a").mkdir()
    file = folder / "a/main.go"
    file.write_text("one")
    yield "start", files_digest(folder, (".go",))
    file.write_text("two")
    yield "another content", files_digest(folder, (".go",))
    file.rename(folder / "a/other.go")
    yield "another name", files_digest(folder, (".go",))


def test_sources_digest_follows_names_and_contents(tmp_path: Path) -> None:
    digests = dict(sources(tmp_path))

    assert len(digests) == len(set(digests.values()))


def test_sources_digest_leaves_out_tests_and_other_files(tmp_path: Path) -> None:
    before = files_digest(tmp_path, (".go",))
    (tmp_path / "a_test.go").write_text("test")
    (tmp_path / "notes.md").write_text("notes")

    assert before == files_digest(tmp_path, (".go",))
