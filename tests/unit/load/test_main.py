"""The loader: a verified model under its final name, or nothing there and an exit code."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dlagent.adapters.store import Disk, FolderStore
from dlagent.domain.artifact.report_line import MOST_BYTES, report_in
from dlagent.load.__main__ import main
from tests.unit.adapters.faulty_disk import FaultyDisk, full, killed_at, steps_of
from tests.unit.artifacts import KEY, MEMBERS, NETWORK, artifact, ensemble

DEEPER = "model/some/folder/file"
CONFIG_VARIABLE = "DLAGENT_CONFIG_PBTXT"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    FolderStore(tmp_path / "store").publish(KEY, artifact())
    return tmp_path / "store"


def arguments(store: Path, key: str = KEY) -> list[str]:
    models = store.parent / "models"
    models.mkdir(exist_ok=True)
    return [
        *("--store", str(store), "--key", key, "--name", "shoes", "--models", str(models)),
        *("--termination-log", str(store.parent / "message")),
    ]


def message(store: Path) -> str:
    return (store.parent / "message").read_text()


def assert_nothing_loaded(store: Path) -> None:
    assert [] == list((store.parent / "models").iterdir())


def test_the_model_is_there_with_the_config_of_its_revision(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLAGENT_CONFIG_PBTXT", "max_batch_size: 3\n")

    assert 0 == main(arguments(store))

    models = store.parent / "models"
    assert artifact()[NETWORK] == (models / "shoes/1/model.onnx").read_bytes()
    assert "max_batch_size: 3\n" == (models / "shoes/config.pbtxt").read_text()
    assert ["shoes"] == [entry.name for entry in models.iterdir()]
    assert f"loaded artifact {KEY}" == message(store)


def test_without_a_config_of_the_revision_the_artifacts_own_is_used(store: Path) -> None:
    assert 0 == main(arguments(store))

    config = store.parent / "models/shoes/config.pbtxt"
    assert "max_batch_size: 8\n" == config.read_text()


def with_report(store: Path, content: bytes, kept: bytes) -> str:
    """Publish an artifact whose manifest is for `content`, where the disk kept something else."""
    key = "r" * 64
    FolderStore(store).publish(key, artifact(more={"report.json": content}, key=key))
    (store / "artifacts" / key / "report.json").write_bytes(kept)
    return key


def test_the_report_is_printed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = with_report(store, b"{}", kept=b"{}")

    assert 0 == main(arguments(store, key))

    assert b"{}" == report_in(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        pytest.param(b"{}", b"[]", id="a report that is damaged"),
        pytest.param(
            b"x" * (MOST_BYTES + 1), b"x" * (MOST_BYTES + 1), id="one too large for a log"
        ),
    ],
)
def test_an_artifact_serves_without_a_report_to_print(
    store: Path, capsys: pytest.CaptureFixture[str], content: bytes, kept: bytes
) -> None:
    key = with_report(store, content, kept)

    assert 0 == main(arguments(store, key))

    assert "" == capsys.readouterr().out
    network = store.parent / "models/shoes/1/model.onnx"
    assert artifact()[NETWORK] == network.read_bytes()


def test_a_second_run_replaces_the_first_ones_model(store: Path) -> None:
    main(arguments(store))
    models = store.parent / "models"
    (models / "shoes/1/model.onnx").write_bytes(b"stale")
    (models / ".shoes.loading").mkdir()
    (models / ".shoes.loading/half").write_bytes(b"of a killed run")

    assert 0 == main(arguments(store))

    assert artifact()[NETWORK] == (models / "shoes/1/model.onnx").read_bytes()
    assert ["shoes"] == [entry.name for entry in models.iterdir()]


def test_a_missing_artifact_has_its_exit_code(store: Path) -> None:
    assert 20 == main(arguments(store, key="0" * 64))

    assert "no artifact 000" in message(store)
    assert_nothing_loaded(store)


@pytest.mark.parametrize("path", ["model/1/model.onnx", "model/config.pbtxt", "manifest.json"])
@pytest.mark.parametrize("cut", [pytest.param(True, id="cut"), pytest.param(False, id="flipped")])
def test_a_damaged_file_never_loads_and_is_named(store: Path, path: str, cut: bool) -> None:
    file = store / "artifacts" / KEY / path
    data = file.read_bytes()
    file.write_bytes(data[:-1] if cut else bytes([data[0] ^ 1]) + data[1:])

    assert 21 == main(arguments(store))

    assert path in message(store)
    assert_nothing_loaded(store)


def test_all_below_model_is_loaded_and_nothing_else(tmp_path: Path) -> None:
    more = {DEEPER: b"anything", "model/labels.txt": b"shoe", "report.html": b"<html>"}
    files = artifact(more=more)
    store = tmp_path / "store"
    FolderStore(store).publish(KEY, files)

    assert 0 == main(arguments(store))

    loaded = {path for path in files if path.startswith("model/")}
    assert {path: files[path] for path in loaded} == loaded_files(store)


def loaded_files(store: Path) -> dict[str, bytes]:
    """What Triton would read of the model, by its path in the artifact."""
    model = store.parent / "models/shoes"
    return {
        f"model/{path.relative_to(model)}": path.read_bytes()
        for path in model.rglob("*")
        if path.is_file()
    }


OF_TRITON = {path: data for path, data in artifact().items() if path.startswith("model/")}


@pytest.mark.parametrize("path", [*sorted(artifact()), "manifest.json.sha256"])
def test_wherever_a_byte_is_flipped_or_cut_nothing_but_what_was_published_loads(
    store: Path, path: str
) -> None:
    small = artifact(b"network")
    FolderStore(store / "small").publish(KEY, small)
    file = store / "small/artifacts" / KEY / path
    whole = file.read_bytes()
    codes = set()
    for place in range(len(whole)):
        flipped = whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :]
        for damage in (flipped, whole[:place]):
            file.write_bytes(damage)
            codes.add(main(arguments(store / "small")))
            found = loaded_files(store / "small")
            assert found in ({}, {name: small[name] for name in OF_TRITON})
    assert {0 if path == "report.json" else 21} == codes, "a report is nothing that serves"


def test_a_full_disk_at_any_step_has_its_exit_code_and_leaves_nothing(store: Path) -> None:
    for step in range(steps_of(lambda disk: main(arguments(store), disk), removals=False) - 1):
        shutil.rmtree(store.parent / "models")

        assert 22 == main(arguments(store), FaultyDisk(step, full, removals=False))

        assert "no space" in message(store)
        assert_nothing_loaded(store)


def test_a_kill_at_any_step_loads_all_or_nothing_and_the_next_run_completes(store: Path) -> None:
    def run(disk: Disk) -> int:
        return main(arguments(store), disk)

    first, again = steps_of(run), steps_of(run)
    assert again > first, "a second run removes the first one's model"
    for step in range(again):
        killed_at(step, run)

        assert loaded_files(store) in ({}, OF_TRITON)
        assert 0 == run(Disk())
        assert OF_TRITON == loaded_files(store)
        assert ["shoes"] == [entry.name for entry in (store.parent / "models").iterdir()]


ALL_OF_TRITON = {path: data for path, data in ensemble().items() if "/" in path}


@pytest.fixture
def together(tmp_path: Path) -> Path:
    """A store with an ensemble."""
    FolderStore(tmp_path / "store").publish(KEY, ensemble())
    return tmp_path / "store"


def all_loaded(store: Path) -> dict[str, bytes]:
    """What Triton would read, by its path in the artifact: it passes folders with a dot over."""
    models = store.parent / "models"
    return {
        str(path.relative_to(models)).replace("shoes/", "model/"): path.read_bytes()
        for path in models.rglob("*")
        if path.is_file() and not path.relative_to(models).parts[0].startswith(".")
    }


def test_the_members_of_an_ensemble_are_beside_it_with_their_configs(
    together: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLAGENT_CONFIG_PBTXT", "of the agent")
    monkeypatch.setenv("DLAGENT_MEMBER_CONFIGS", '{"decide_": "of the network"}')

    assert 0 == main(arguments(together))

    rendered = {
        "model/config.pbtxt": b"of the agent",
        "decide_/config.pbtxt": b"of the network",
    }
    assert ALL_OF_TRITON | rendered == all_loaded(together)


@pytest.mark.parametrize("path", sorted(ALL_OF_TRITON))
def test_a_damaged_file_of_an_ensemble_never_loads_and_is_named(together: Path, path: str) -> None:
    file = together / "artifacts" / KEY / path
    data = file.read_bytes()
    for place in (0, len(data) // 2, len(data) - 1):
        file.write_bytes(data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :])

        assert 21 == main(arguments(together))

        assert path in message(together)
        found = all_loaded(together)
        assert not any(loaded.startswith("model/") for loaded in found)
        assert found.items() <= ALL_OF_TRITON.items()


def test_a_kill_at_any_step_loads_whole_members_and_the_ensemble_after_them(
    together: Path,
) -> None:
    def run(disk: Disk) -> int:
        return main(arguments(together), disk)

    first, again = steps_of(run), steps_of(run)
    for step in range(again):
        if step < first:
            shutil.rmtree(together.parent / "models")
        killed_at(step, run)

        found = all_loaded(together)
        for member in ("perceive_", "decide_", "act_", "model"):
            its = {p: data for p, data in found.items() if p.startswith(f"{member}/")}
            whole = {p: data for p, data in ALL_OF_TRITON.items() if p.startswith(f"{member}/")}
            assert its in ({}, whole)
        if step < first and "model/config.pbtxt" in found:
            assert MEMBERS.keys() <= found.keys()
        assert 0 == run(Disk())
        assert ALL_OF_TRITON == all_loaded(together)


def test_a_message_that_cannot_be_written_does_not_change_the_exit_code(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*arguments(store)[:-1], str(store / "no/such/folder/message")]

    assert 0 == main(given)

    assert "cannot write" in capsys.readouterr().err


def test_it_starts_at_once_and_without_the_heavy_libraries(store: Path) -> None:
    program = (
        "import sys; from dlagent.load.__main__ import main; main(sys.argv[1:]);"
        "heavy = {'pydantic', 'numpy', 'torch', 'onnx', 'google.protobuf', 'yaml'};"
        "sys.exit(repr(sorted(heavy & set(sys.modules))) if heavy & set(sys.modules) else 0)"
    )
    before = os.times().children_user
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments(store)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, f"loaded artifact {KEY}\n") == (done.returncode, done.stderr)
    assert os.times().children_user - before < 0.3
