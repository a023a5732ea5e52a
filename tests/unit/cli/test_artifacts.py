"""`dlagent artifacts` on a folder: what it shows, and what it never removes."""

import json
import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dlagent.adapters.store import FolderStore
from dlagent.cli import artifacts
from dlagent.cli.errors import CliError
from tests.unit.artifacts import CONFIG, artifact

MODEL_REPO = Path(__file__).parents[3] / "model_repo"
MANIFEST = (MODEL_REPO / "manifest.json").read_bytes()
NEW, OLD = json.loads(MANIFEST)["key"], "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with a real artifact that is young, and one that is old."""
    found = FolderStore(tmp_path)
    files = {path: (MODEL_REPO / path).read_bytes() for path in json.loads(MANIFEST)["files"]}
    found.publish(NEW, files | {"manifest.json": MANIFEST})
    found.publish(OLD, artifact(key=OLD))
    week_and_hour = time.time() - 169 * 3600
    os.utime(tmp_path / "artifacts" / OLD, (week_and_hour, week_and_hour))
    return str(tmp_path)


def run(*words: str, answer: str | None = None) -> str:
    done = CliRunner().invoke(
        artifacts.app, list(words), input=answer, catch_exceptions=False, env={"COLUMNS": "300"}
    )
    assert 0 == done.exit_code, done.output
    return done.output


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts.out, "width", 300, raising=False)


def refused(*words: str) -> str:
    with pytest.raises(CliError) as error:
        CliRunner().invoke(artifacts.app, list(words), catch_exceptions=False)
    return str(error.value)


def keys(store: str) -> set[str]:
    return {found.key for found in FolderStore(Path(store)).artifacts()}


def test_a_list_has_a_row_for_each(store: str) -> None:
    shown = run("list", "--store", store)

    rows = {line.split()[1]: line for line in shown.splitlines() if line.startswith("│")}
    assert {NEW[:12], OLD[:12]} == rows.keys()
    assert "ONNXRuntime" in rows[NEW[:12]]
    assert "7 d ago" in rows[OLD[:12]]
    assert "not known" in rows[NEW[:12]], "a folder knows nothing of agents"


@pytest.mark.parametrize(
    "folders",
    [
        pytest.param([], id="a new volume"),
        pytest.param(["lost+found"], id="a new disk"),
        pytest.param(["staging", "downloads"], id="a build has begun"),
        pytest.param(["artifacts", "others"], id="all were removed"),
    ],
)
def test_an_empty_store_is_said_to_be_empty(tmp_path: Path, folders: list[str]) -> None:
    for name in folders:
        (tmp_path / name).mkdir()

    assert "empty" in run("list", "--store", str(tmp_path))
    assert "nothing to verify" in run("verify", "--store", str(tmp_path))


@pytest.mark.parametrize("words", [["list"], ["show", NEW[:5]], ["verify"], ["prune", "--yes"]])
def test_a_folder_that_is_no_store_is_refused(words: list[str]) -> None:
    said = refused(*words, "--store", str(MODEL_REPO))

    assert f"{MODEL_REPO} is no store: it has no folder artifacts/" == said


def test_an_artifact_is_shown_by_the_beginning_of_its_key(store: str) -> None:
    shown = run("show", NEW[:5], "--store", store)

    manifest = json.loads(MANIFEST)
    assert NEW in shown
    assert manifest["files"]["model/1/model.onnx"]["sha256"] in shown
    assert manifest["keyInputs"]["sourceSha256"] in shown
    assert "batch of 32" in shown


def test_what_is_whole_is_told_from_what_is_damaged(store: str) -> None:
    assert "whole" in run("verify", NEW[:5], "--store", store)

    (Path(store) / "artifacts" / OLD / CONFIG).write_bytes(b"")
    done = CliRunner().invoke(artifacts.app, ["verify", "--store", store])

    assert 1 == done.exit_code
    said = {line.split()[0]: line for line in done.output.splitlines()}
    assert "0 bytes instead of 18" in said[OLD[:12]]
    assert said[NEW[:12]].endswith("whole")


@pytest.mark.parametrize(
    ("words", "answer", "left"),
    [
        pytest.param(["--dry-run"], None, {NEW, OLD}, id="a dry run removes nothing"),
        pytest.param([], "y\n", {NEW}, id="it goes once it was agreed to"),
        pytest.param(["--yes"], None, {NEW}, id="or unasked"),
        pytest.param(["--yes", "--keep", OLD[:8]], None, {NEW, OLD}, id="what is kept stays"),
        pytest.param(["--yes", "--older-than", "170"], None, {NEW, OLD}, id="and what is young"),
    ],
)
def test_pruning(store: str, words: list[str], answer: str | None, left: set[str]) -> None:
    run("prune", "--store", store, *words, answer=answer)

    assert left == keys(store)


@pytest.mark.parametrize(
    "keep",
    [
        pytest.param(OLD[:8].upper(), id="in another case"),
        pytest.param("0123", id="of no artifact"),
        pytest.param(f"{OLD[:8]},{NEW[:8]}", id="two in one"),
    ],
)
def test_a_key_to_keep_that_keeps_nothing_is_refused(store: str, keep: str) -> None:
    said = refused("prune", "--store", store, "--yes", "--keep", NEW[:8], "--keep", keep)

    assert f"no artifact begins with {keep}; nothing was removed" in said
    assert {NEW, OLD} == keys(store)


def test_without_agreement_nothing_goes(store: str) -> None:
    done = CliRunner().invoke(artifacts.app, ["prune", "--store", store], input="n\n")

    assert 1 == done.exit_code
    assert {NEW, OLD} == keys(store)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["list", "--store", "/no/such"], "no such folder", id="no folder"),
        pytest.param(
            ["list", "--store", "ftp://x"], "begins with one of s3://", id="another scheme"
        ),
        pytest.param(["list", "--store", ".", "-n", "a"], "in place of a cluster", id="both"),
        pytest.param(["show", "zzz", "--store", "."], "no artifact begins with zzz", id="no key"),
        pytest.param(["prune", "--store", ".", "--keep", ""], "--keep needs", id="an empty key"),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in refused(*words)


def test_a_beginning_of_two_keys_is_refused(store: str) -> None:
    FolderStore(Path(store)).publish("a" * 63 + "b", artifact(key="a" * 63 + "b"))

    assert "2 artifacts begin with aa" in refused("show", "aa", "--store", store)


def test_a_manifest_of_another_version_is_said(store: str) -> None:
    assert "of another version" in refused("show", OLD[:5], "--store", store)
