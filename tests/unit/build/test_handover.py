"""What `publish` takes from `build`: an artifact of the key that was asked for, no more."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlagent.build.__main__ import main
from dlagent.build.failure import BuildError
from dlagent.build.fetch import Source
from dlagent.build.gather import Gathered
from dlagent.build.handover import (
    Fetched,
    read_fetched,
    read_output,
    write_fetched,
    write_output,
)
from dlagent.build.pipeline import make
from dlagent.build.progress import Progress
from dlagent.domain.artifact.layout import (
    CONFIG,
    MANIFEST,
    MANIFEST_DIGEST,
    REPORT,
    manifest_digest,
)
from dlagent.domain.artifact.request import BuildRequest, artifact_key
from dlagent.domain.artifact.summary import Outcome, Summary
from tests.unit.build.conftest import Workshop, double

SHA256 = "a" * 64
NETWORK = "model/1/model.onnx"


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize(
    "known", [None, Summary(outcome=Outcome.CACHED, message="it is known", key="k" * 64)]
)
def test_what_was_fetched_is_what_is_found(
    workshop: Any, tmp_path: Path, external: bool, known: Summary | None
) -> None:
    source = Source(tmp_path / "source", SHA256, 12, tmp_path / "external" if external else None)
    fetched = Fetched(Gathered(source, {}, known), {"fetch": 1.5})

    write_fetched(tmp_path, fetched)

    assert fetched == read_fetched(tmp_path, workshop.request())


class Output:
    """The folder that `build` leaves, with an artifact in it, and whatever else a test does."""

    def __init__(self, folder: Path, request: BuildRequest, files: dict[str, bytes]) -> None:
        self.folder = folder
        self.request = request
        self.files = files
        self.key = artifact_key(request, SHA256)
        self.artifact = folder / "artifacts" / self.key
        write_output(folder, self.key, files)

    def read(self) -> dict[str, bytes]:
        return read_output(self.folder, self.request, SHA256)

    def write_manifest(self, change: Callable[[Any], None]) -> None:
        """A manifest that was changed, under a digest that is right."""
        content = json.loads((self.artifact / MANIFEST).read_bytes())
        change(content)
        data = json.dumps(content).encode()
        (self.artifact / MANIFEST).write_bytes(data)
        (self.artifact / MANIFEST_DIGEST).write_bytes(manifest_digest(data))

    def add(self, path: str, data: bytes) -> None:
        """A file that the manifest vouches for."""
        self.artifact.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
        self.artifact.joinpath(path).write_bytes(data)
        entry = {"sha256": hashlib.sha256(data).hexdigest(), "sizeBytes": len(data)}
        self.write_manifest(lambda content: content["files"].update({path: entry}))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[BuildRequest, dict[str, bytes]]:
    """The files of a real artifact, whose source is said to have the digest SHA256."""
    root = tmp_path_factory.mktemp("made")
    request = Workshop(root).request()
    model = double().SerializeToString()
    (root / "source").write_bytes(model)
    gathered = Gathered(Source(root / "source", SHA256, len(model)), {})
    progress = Progress(show=lambda *_: None)
    return request, make(request, gathered, root, None, progress)


@pytest.fixture
def output(made: tuple[BuildRequest, dict[str, bytes]], tmp_path: Path) -> Output:
    return Output(tmp_path / "output", *made)


def test_a_whole_artifact_is_taken_as_it_is(output: Output) -> None:
    assert output.files == output.read()


def cut_short(output: Output) -> None:
    os.truncate(output.artifact / NETWORK, 10)


def altered(output: Output) -> None:
    data = bytearray((output.artifact / NETWORK).read_bytes())
    data[-1] ^= 1
    (output.artifact / NETWORK).write_bytes(data)


def without_the_network(output: Output) -> None:
    (output.artifact / NETWORK).unlink()


def without_a_manifest(output: Output) -> None:
    (output.artifact / MANIFEST).unlink()


def another_manifest(output: Output) -> None:
    (output.artifact / MANIFEST).write_bytes(b"{}")


def a_manifest_that_is_none(output: Output) -> None:
    output.write_manifest(lambda content: content.pop("interface"))


def the_manifest_of_another_key(output: Output) -> None:
    output.write_manifest(lambda content: content.update(key="b" * 64))


def other_inputs_than_the_keys(output: Output) -> None:
    output.write_manifest(lambda content: content["keyInputs"].update(sourceSha256="b" * 64))


def no_times(output: Output) -> None:
    output.write_manifest(lambda content: content.update(tau=[]))


def another_artifact_as_well(output: Output) -> None:
    (output.folder / "artifacts" / ("b" * 64)).mkdir()


def a_file_beside_the_artifact(output: Output) -> None:
    (output.folder / "notes").write_text("x")


def a_file_that_nobody_names(output: Output) -> None:
    (output.artifact / "model/1/model.py").write_text("x")


def a_named_file_that_no_artifact_has(output: Output) -> None:
    output.add("model/1/model.py", b"x")


def a_script_that_nobody_asked_for(output: Output) -> None:
    output.add("act_/1/step.py", b"x")


def a_name_that_leads_out(output: Output) -> None:
    output.write_manifest(
        lambda content: content["files"].update(
            {"../escape": {"sha256": hashlib.sha256(b"x").hexdigest(), "sizeBytes": 1}}
        )
    )
    (output.artifact.parent / "escape").write_text("x")


def an_absolute_name(output: Output) -> None:
    output.write_manifest(
        lambda content: content["files"].update(
            {"/etc/hostname": {"sha256": "b" * 64, "sizeBytes": 1}}
        )
    )


def a_link_in_a_files_place(output: Output) -> None:
    elsewhere = output.folder.parent / "elsewhere"
    (output.artifact / REPORT).rename(elsewhere)
    (output.artifact / REPORT).symlink_to(elsewhere)


def a_link_in_a_folders_place(output: Output) -> None:
    elsewhere = output.folder.parent / "elsewhere"
    (output.artifact / "model").rename(elsewhere)
    (output.artifact / "model").symlink_to(elsewhere)


def a_link_in_the_place_of_all(output: Output) -> None:
    elsewhere = output.folder.parent / "elsewhere"
    (output.folder / "artifacts").rename(elsewhere)
    (output.folder / "artifacts").symlink_to(elsewhere)


def a_pipe_in_a_files_place(output: Output) -> None:
    (output.artifact / CONFIG).unlink()
    os.mkfifo(output.artifact / CONFIG)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (cut_short, "model/1/model.onnx has 10 bytes"),
        (altered, "model/1/model.onnx has another SHA-256"),
        (without_the_network, "model/1/model.onnx is missing"),
        (without_a_manifest, "manifest.json is missing"),
        (another_manifest, "manifest.json is not the one"),
        (a_manifest_that_is_none, "manifest.json cannot be read"),
        (the_manifest_of_another_key, "that of another artifact"),
        (other_inputs_than_the_keys, "other inputs than those of the key"),
        (no_times, "how long batches take"),
        (another_artifact_as_well, "no file of an artifact of this key"),
        (a_file_beside_the_artifact, "'notes' is no file"),
        (a_file_that_nobody_names, "model/1/model.py' is no file"),
        (a_named_file_that_no_artifact_has, "model/1/model.py' is no file"),
        (a_script_that_nobody_asked_for, "its code is not that of the Python steps"),
        (a_name_that_leads_out, "'artifacts/escape' is no file"),
        (an_absolute_name, "a path outside of the artifact"),
        (a_link_in_a_files_place, "report.json' is no file"),
        (a_link_in_a_folders_place, "model' is no file"),
        (a_link_in_the_place_of_all, "'artifacts' is no file"),
        (a_pipe_in_a_files_place, "config.pbtxt' is no file"),
    ],
)
def test_what_is_no_artifact_of_the_key_is_refused(
    output: Output, change: Callable[[Output], object], why: str
) -> None:
    change(output)

    with pytest.raises(BuildError) as refused:
        output.read()

    assert "Internal" == refused.value.reason
    assert "what the build handed over is not published: " in refused.value.message
    assert why in refused.value.message


def test_an_empty_folder_is_refused(tmp_path: Path, made: Any) -> None:
    with pytest.raises(BuildError, match="there is no artifact of this key"):
        read_output(tmp_path, made[0], SHA256)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_byte_of_a_file_can_change_unseen(output: Output, data: st.DataObject) -> None:
    paths = sorted(path for path in output.artifact.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(paths))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)

    try:
        with pytest.raises(BuildError):
            output.read()
    finally:
        path.write_bytes(whole)


def test_what_is_refused_is_not_published(
    output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(tmp_path / "fetched/source", SHA256, 12)
    (tmp_path / "fetched").mkdir()
    write_fetched(tmp_path / "fetched", Fetched(Gathered(source, {}), {}))
    monkeypatch.setenv("DLAGENT_BUILD_REQUEST", output.request.model_dump_json(by_alias=True))
    altered(output)

    code = main(
        [
            *("publish", "--fetched", str(tmp_path / "fetched"), "--output", str(output.folder)),
            *("--store", str(tmp_path / "store"), "--termination-log", str(tmp_path / "message")),
        ]
    )

    assert 4 == code
    assert "is not published: model/1/model.onnx" in (tmp_path / "message").read_text()
    assert not (tmp_path / "store").exists()
