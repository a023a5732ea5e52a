"""The containers of a build: messages, exit codes, progress, also when one is killed."""

import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import ModelProto

from dlagent.adapters.store import FolderStore
from dlagent.build.__main__ import main
from dlagent.build.progress import STAGES
from dlagent.domain.artifact.summary import Outcome
from tests.unit.build.pods import CONTAINERS, BuildPod

Make = Callable[..., ModelProto]


@pytest.fixture
def pod(workshop: Any, tmp_path: Path) -> Callable[..., BuildPod]:
    """Another pod of the same build; `request` may be another one."""

    def make(request: Any = None) -> BuildPod:
        folder = tmp_path / f"pod-{len(list(tmp_path.glob('pod-*')))}"
        asked = request or workshop.request()
        return BuildPod(folder, tmp_path / "sources", str(workshop.store_root), asked)

    return make


def test_the_containers_one_after_the_other_build_what_is_told_by_the_last(
    workshop: Any,
    double: Make,
    pod: Callable[..., BuildPod],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workshop.put(double())
    monkeypatch.setenv("DLAGENT_BUILD_REQUEST", workshop.request().model_dump_json(by_alias=True))
    built = pod()

    assert [0, 0, 0] == [main(built.arguments(name)) for name in ("fetch", "work", "publish")]

    told = [built.message(name) for name in ("fetch", "work", "publish")]
    assert (None, None, Outcome.PUBLISHED) == (told[0], told[1], told[2] and told[2].outcome)
    assert "" == built.message_path("work").read_text()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    assert [stage for stage in STAGES if stage != "data"] == stages
    assert all(line["of"] == len(STAGES) for line in lines)
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert "reading pvc://models/net.onnx" == lines[0]["message"]


STEP = {
    "configMapRef": {"name": "steps", "key": "act.py"},
    "outputs": [{"name": "z", "dataType": "FP32", "shape": [4]}],
}
WITH_A_SCRIPT: dict[str, Any] = {
    "act": [{"python": STEP}],
    "scripts": {"act": "def step(inputs):\n    return {'z': inputs['y'] + 1}\n"},
}


@pytest.mark.parametrize("asked", [{}, WITH_A_SCRIPT], ids=["a network", "and a Python step"])
def test_the_pods_artifact_is_the_one_that_a_single_process_makes(
    workshop: Any, double: Make, pod: Callable[..., BuildPod], tmp_path: Path, asked: dict[str, Any]
) -> None:
    workshop.put(double())

    told = pod(workshop.request(**asked)).run()
    alone = workshop.build(store=FolderStore(tmp_path / "another"), **asked)

    assert (Outcome.PUBLISHED, alone.key) == (told.outcome, told.key)
    same = {"outcome", "engine", "precision", "size_bytes", "interface", "self_check"}
    assert alone.model_dump(include=same) == told.model_dump(include=same)
    report = workshop.store_root / f"artifacts/{told.key}/report.json"
    assert {"fetch", "load", "measure"} <= json.loads(report.read_text())["stageSeconds"].keys()


def test_what_is_known_is_told_without_being_made_again(
    workshop: Any, double: Make, pod: Callable[..., BuildPod]
) -> None:
    workshop.put(double())
    key = workshop.build().key
    known = pod()

    told = known.run()

    assert (Outcome.CACHED, key) == (told.outcome, told.key)
    assert [] == list((known.folder / "output").iterdir())


def test_the_data_set_is_read_where_the_model_is(
    workshop: Any, double: Make, pod: Callable[..., BuildPod]
) -> None:
    workshop.put(double())
    workshop.put(b"no data set", "data.npz")
    digest = hashlib.sha256(b"no data set").hexdigest()
    dataset = {"uri": "pvc://models/data.npz", "sha256": digest}
    optimise = {"dataset": dataset, "metric": "Accuracy", "maxDrop": "0.01", "epochs": 1}
    judged = pod(workshop.request(optimise=optimise))

    told = judged.run()

    assert ("Failed", "InvalidDataset") == (told.outcome, told.reason)
    assert judged.message("build") == told


@pytest.mark.parametrize(
    ("request_", "reason", "code"),
    [
        pytest.param("", "Internal", 4, id="no request"),
        pytest.param("{}", "Internal", 4, id="an empty request"),
        pytest.param(None, "SourceUnavailable", 4, id="no source"),
    ],
)
def test_a_failure_ends_with_a_message_and_an_exit_code(
    workshop: Any,
    pod: Callable[..., BuildPod],
    monkeypatch: pytest.MonkeyPatch,
    request_: str | None,
    reason: str,
    code: int,
) -> None:
    text = workshop.request().model_dump_json() if request_ is None else request_
    monkeypatch.setenv("DLAGENT_BUILD_REQUEST", text)
    failing = pod()

    assert code == main(failing.arguments("fetch"))

    told = failing.message("fetch")
    assert told is not None
    assert ("Failed", reason) == (told.outcome, told.reason)


@pytest.mark.parametrize("container", ["work", "publish"])
def test_a_container_that_gets_nothing_says_so(
    workshop: Any,
    pod: Callable[..., BuildPod],
    monkeypatch: pytest.MonkeyPatch,
    container: str,
) -> None:
    monkeypatch.setenv("DLAGENT_BUILD_REQUEST", workshop.request().model_dump_json())
    failing = pod()

    assert 4 == main(failing.arguments(container))

    told = failing.message(container)
    assert told is not None
    assert told.reason == "Internal"
    assert "fetched.json" in told.message


KILLS = [
    pytest.param("fetch", "gather.fetch_model", "fetch", id="while the source is copied"),
    pytest.param("fetch", "containers.write_fetched", "fetch", id="before it said what it copied"),
    pytest.param("build", "load.detect", "load", id="while the model is read"),
    pytest.param("build", "containers.write_output", "publish", id="before the artifact is put"),
    pytest.param("publish", "containers.read_output", "publish", id="before it is published"),
    pytest.param("publish", "stored.of_manifest", "publish", id="once it is published"),
]


@pytest.mark.parametrize(("container", "place", "stage"), KILLS)
def test_wherever_a_container_is_killed_it_has_said_where_and_the_next_pod_completes(
    workshop: Any,
    double: Make,
    pod: Callable[..., BuildPod],
    container: str,
    place: str,
    stage: str,
) -> None:
    workshop.put(double())
    killed = pod()
    for before in CONTAINERS[: CONTAINERS.index(container)]:
        assert 0 == killed.start(before).wait(120)
    module, _, function = place.partition(".")
    program = (
        "import os, signal, sys;"
        f"import dlagent.build.__main__ as program, dlagent.build.{module} as module;"
        f"module.{function} = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        "program.main([sys.argv[1].replace('build', 'work'), *sys.argv[2:]])"
    )

    process = killed.start(container, program)
    process.communicate(timeout=120)

    assert -signal.SIGKILL == process.returncode
    told = killed.message(container)
    assert told is not None
    assert ("Failed", "Internal") == (told.outcome, told.reason)
    assert told.message.startswith(f"{stage}: the build was killed; raise spec.build.resources")
    there = [path.name for path in workshop.store_root.glob("artifacts/*")]
    assert int(place == "stored.of_manifest") == len(there)
    again = pod().run()
    assert again.outcome == ("Cached" if there else "Published")
    FolderStore(workshop.store_root).verify(str(again.key))


def test_a_model_that_crashes_what_reads_it_ends_in_a_message_of_its_container(
    workshop: Any, double: Make, pod: Callable[..., BuildPod], tmp_path: Path
) -> None:
    """The child finds a module of the test's in the place of the one that reads models."""
    workshop.put(double())
    crashing = pod()
    assert 0 == crashing.start("fetch").wait(120)
    (tmp_path / "path").mkdir()
    (tmp_path / "path/sitecustomize.py").write_text(
        "import os, resource, sys\n"
        "if 'work' in sys.orig_argv:\n"
        "    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "    os.abort()\n"
    )
    python_path = f"{tmp_path / 'path'}:{os.environ.get('PYTHONPATH', '')}"

    process = crashing.start("build", more={"PYTHONPATH": python_path})
    process.communicate(timeout=120)

    told = crashing.message("build")
    assert told is not None
    assert (3, "InvalidModel") == (process.returncode, told.reason)
    assert "the build's process crashed (SIGABRT)" in told.message


def test_onnx_sources_never_wait_for_torch(
    workshop: Any, double: Make, pod: Callable[..., BuildPod]
) -> None:
    workshop.put(double())
    built = pod()
    assert 0 == built.start("fetch").wait(120)
    program = (
        "import sys; from dlagent.build.__main__ import main;"
        "code = main(['work', *sys.argv[2:]]);"
        "sys.exit(code or 'torch' in sys.modules)"
    )

    process = built.start("build", program)
    _, errors = process.communicate(timeout=120)

    assert 0 == process.returncode, errors


def test_two_builds_of_a_key_at_once_publish_once(
    workshop: Any, double: Make, pod: Callable[..., BuildPod]
) -> None:
    workshop.put(double())
    pods = [pod(), pod()]

    for container in CONTAINERS:
        running = [each.start(container) for each in pods]
        assert [0, 0] == [process.wait(120) for process in running]

    told = [each.message("publish") for each in pods]
    assert told[0] is not None
    assert told[0] == told[1], "both tell of the one artifact that was published"
    assert 1 == len(list((workshop.store_root / "artifacts").iterdir()))
    assert [] == list((workshop.store_root / "staging").iterdir())
