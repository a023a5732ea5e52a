"""The program that looks after a store: its answers, its last words, and what it leaves alone."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlagent.adapters.store import ArtifactMissingError, FolderStore
from dlagent.store.__main__ import main
from tests.unit.artifacts import CONFIG, artifact

OLD, USED, YOUNG = "a" * 64, "b" * 64, "c" * 64
MODEL_REPO = Path(__file__).parents[3] / "model_repo"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with an old artifact, an old one that is in use, and a young one."""
    store = FolderStore(tmp_path / "store")
    for key in (OLD, USED, YOUNG):
        store.publish(key, artifact(key=key))
    for key in (OLD, USED):
        os.utime(tmp_path / "store/artifacts" / key, (1e9, 1e9))
    left = tmp_path / "store/staging/dead.0"
    left.mkdir()
    os.utime(left, (1e9, 1e9))
    return tmp_path / "store"


def ask(root: Path, *words: str, capsys: pytest.CaptureFixture[str]) -> Any:
    assert 0 == main(arguments(root, *words))
    return json.loads(capsys.readouterr().out)


def arguments(root: Path, *words: str) -> list[str]:
    log = str(root.parent / "message")
    return ["--store", str(root), "--termination-log", log, *words]


def keys(root: Path) -> set[str]:
    return {found.key for found in FolderStore(root).artifacts()}


def test_a_sweep_takes_what_is_old_and_not_named(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("sweep", "--grace-hours", "1", f"--keep={USED[:16]}")
    would = ask(root, *words, "--dry-run", capsys=capsys)
    assert {OLD, USED, YOUNG} == keys(root)

    did = ask(root, *words, capsys=capsys)

    assert {USED, YOUNG} == keys(root)
    assert [] == list((root / "staging").iterdir())
    assert would == did | {"dryRun": True}
    assert (1, [OLD[:16]], 2, 1) == (
        did["removedCount"], did["removed"], did["keptCount"], did["stagingCount"]
    )  # fmt: skip
    assert did == json.loads((root.parent / "message").read_text())


def test_what_became_young_since_it_was_listed_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = FolderStore(root).artifacts()
    FolderStore(root).touch(OLD)
    monkeypatch.setattr(FolderStore, "artifacts", lambda _self: listed)

    did = ask(root, "sweep", "--grace-hours", "1", f"--keep={USED}", capsys=capsys)

    assert 0 == did["removedCount"]
    FolderStore(root).verify(OLD)


def test_a_list_tells_what_the_manifests_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        str(path.relative_to(MODEL_REPO)): path.read_bytes()
        for path in (*MODEL_REPO.rglob("model/**/*.*"), MODEL_REPO / "report.json")
        if path.is_file()
    }
    manifest = (MODEL_REPO / "manifest.json").read_bytes()
    key = json.loads(manifest)["key"]
    FolderStore(tmp_path / "store").publish(key, files | {"manifest.json": manifest})
    FolderStore(tmp_path / "store").publish(OLD, artifact(key=OLD))

    told = {
        item["key"]: item for item in ask(tmp_path / "store", "list", capsys=capsys)["artifacts"]
    }

    assert ("onnxruntime", "FP32") == (told[key]["engine"].lower(), told[key]["precision"])
    assert json.loads(manifest)["keyInputs"]["sourceSha256"] == told[key]["sourceSha256"]
    assert "trouble" not in told[key]
    assert "its manifest is of another version" == told[OLD]["trouble"]


def test_every_file_is_read_and_what_is_damaged_is_named(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "artifacts" / OLD / CONFIG).write_bytes(b"")

    all_of_it = ask(root, "verify", capsys=capsys)["artifacts"]
    one = ask(root, "verify", USED, "d" * 64, capsys=capsys)["artifacts"]

    assert {OLD: f"{CONFIG} has 0 bytes instead of 18", USED: None, YOUNG: None} == {
        item["key"]: item.get("trouble") for item in all_of_it
    }
    assert [None, f"the store has no artifact {'d' * 64}"] == [i.get("trouble") for i in one]


@pytest.mark.parametrize("path", [CONFIG, "manifest.json"])
def test_a_file_comes_in_base64(root: Path, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(arguments(root, "cat", OLD, path))

    assert artifact(key=OLD)[path] == base64.b64decode(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["cat", OLD, "no.txt"], "has no file no.txt", id="no such file"),
        pytest.param(["cat", "d" * 64, CONFIG], "has no artifact ddd", id="no such artifact"),
    ],
)
def test_what_cannot_be_had_is_said_with_nothing_on_standard_output(
    root: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == main(arguments(root, *words))

    printed = capsys.readouterr()
    assert "" == printed.out
    assert said in printed.err
    assert said in (root.parent / "message").read_text()


def test_a_store_that_fails_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == main(arguments(root, "--store", "ftp://host", "list"))

    assert "the store ftp://host failed" in capsys.readouterr().err


def test_it_is_a_program(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dlagent.store", *arguments(root, "list")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert 3 == len(json.loads(done.stdout)["artifacts"])


def test_an_artifact_that_went_while_it_was_listed_is_told_as_such(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(_self: FolderStore, key: str) -> bytes:
        raise ArtifactMissingError(f"the store has no artifact {key}")

    monkeypatch.setattr(FolderStore, "manifest", gone)

    told = ask(root, "list", capsys=capsys)["artifacts"]

    assert all("has no artifact" in item["trouble"] for item in told)
