"""`dlagent report`: out of a folder or out of a cluster, as tables, as JSON, as files."""

from pathlib import Path
from types import SimpleNamespace as Namespace
from typing import Any

import pytest
from kubernetes import client
from typer.testing import CliRunner, Result
from urllib3.exceptions import MaxRetryError

from dlagent.cli import agent_report
from dlagent.cli.errors import CliError
from dlagent.cli.report import app
from dlagent.domain.artifact.report import Report, parse_report
from dlagent.domain.artifact.report_line import report_line
from tests.unit.report import examples

REPORT = examples.report()
KEY = REPORT.key


def run(*arguments: object) -> Result:
    """Errors come out as main.py sees them."""
    result = CliRunner(env={"COLUMNS": "120"}).invoke(
        app, [str(each) for each in arguments], catch_exceptions=False
    )
    assert 0 == result.exit_code, result.output
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artifact's folder, as `dlagent build --out` leaves it."""
    (tmp_path / "report.json").write_text(REPORT.to_json())
    return tmp_path


@pytest.mark.parametrize("file", ["", "report.json"])
def test_the_tables_tell_what_was_chosen_and_why(folder: Path, file: str) -> None:
    text = " ".join(run(folder / file).stdout.split())

    assert text.startswith("int8 is 2.62x as fast as the source")
    for sentence in (
        "at most 1 point below the source",
        "prune-50-int8 │ loses too much │ 0.65 ms │ 3.38x │ 88.70 % │ 1.47 points",
        "the time of the build (10 minutes) was over",
        "6 Shirt",
    ):
        assert sentence in text


def test_on_a_narrow_terminal_names_stay_whole(folder: Path) -> None:
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, [str(folder)])

    assert "prune-50-int8" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_how_long_a_batch_takes_as_served_is_ready_for_a_replay(folder: Path) -> None:
    text = " ".join(run(folder).stdout.split())

    assert "Time of a batch as it is served" in text
    assert "│ 32 │ 3.25 │" in text
    assert text.endswith("dlagent replay TRACE --tau 0.05ms,0.1ms --max-batch 32")


def test_json_is_the_report_itself(folder: Path) -> None:
    assert REPORT == parse_report(run(folder, "--json").stdout)


def test_files_are_written(folder: Path) -> None:
    run(folder, "--html", folder / "r.html", "--png", folder / "r.png")

    assert (folder / "r.html").read_text().rstrip().endswith("</html>")
    assert (folder / "r.png").read_bytes().startswith(b"\x89PNG")


def test_orders_to_the_terminal_are_taken_out(folder: Path) -> None:
    evil = [
        each.model_copy(update={"name": f"{each.name}\x1b[2J", "reason": "[bold]\x1b]0;x\x07"})
        for each in REPORT.candidates
    ]
    made = REPORT.model_copy(update={"candidates": evil, "chosen": "int8\x1b[2J"})
    (folder / "report.json").write_text(made.to_json())

    text = run(folder).stdout

    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "[bold]" in text  # no markup of rich either


@pytest.mark.parametrize(
    ("content", "arguments", "why"),
    [
        pytest.param(None, [], "report.json: No such file", id="a folder without a report"),
        pytest.param("{}", [], "no report of a build", id="another JSON file"),
        pytest.param('{"formatVersion": 1}', [], "older DLAgent", id="an older report"),
        pytest.param(REPORT.to_json(), ["--png", "no/r.png"], "cannot be written", id="no folder"),
    ],
)
def test_what_is_wrong_with_a_path_is_said(
    tmp_path: Path, content: str | None, arguments: list[str], why: str
) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)

    with pytest.raises(CliError, match=why):
        run(tmp_path, *arguments)


def test_a_path_that_is_not_there_is_no_agent() -> None:
    with pytest.raises(CliError, match="no such file or folder"):
        run("no/such/folder")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "shose: no such file or folder, and no cluster", id="a path or agent"),
        pytest.param(["-n", "vision"], "no cluster: ", id="an agent alone"),
    ],
)
def test_what_is_neither_there_nor_in_a_cluster_is_said(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    with pytest.raises(CliError) as error:
        run("shose", "--kubeconfig", tmp_path / "none", *arguments)

    assert str(error.value).startswith(said)
    assert "--url" not in str(error.value)


def test_without_matplotlib_it_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(CliError, match=r"pip install '\.\[report\]'"):
        run(folder, "--png", folder / "r.png")


def pod(name: str, key: str = KEY, exit_code: int | None = 0) -> Any:
    """A serving pod whose loader has ended, or runs still."""
    ended = None if exit_code is None else Namespace(exit_code=exit_code)
    return Namespace(
        metadata=Namespace(name=name),
        spec=Namespace(init_containers=[Namespace(name="load", args=["--key", key])]),
        status=Namespace(
            init_container_statuses=[Namespace(name="load", state=Namespace(terminated=ended))]
        ),
    )


class FakeCluster:
    """An agent, its pods, and what their loaders printed."""

    def __init__(self, pods: dict[str, Any], logs: dict[str, str]) -> None:
        self.pods, self.logs = pods, logs
        self.status: dict[str, Any] = {"artifact": {"key": KEY}}
        self.refused: Exception | None = None

    def list_namespaced_pod(self, namespace: str, label_selector: str) -> Any:
        if self.refused is not None:
            raise self.refused
        wanted = "app.kubernetes.io/component=serving,dlagent.io/name=shoes"
        assert ("vision", wanted) == (namespace, label_selector)
        return Namespace(items=list(self.pods.values()))

    def read_namespaced_pod_log(
        self, name: str, namespace: str, container: str, limit_bytes: int
    ) -> str:
        assert ("vision", "load") == (namespace, container)
        return self.logs.get(name, "")[:limit_bytes]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    fake = FakeCluster({"a": pod("a")}, {"a": printed(REPORT)})
    monkeypatch.setattr(agent_report, "find_cluster", lambda *_: (None, "vision"))
    monkeypatch.setattr(agent_report, "find_agent", lambda *_: {"status": fake.status})
    monkeypatch.setattr(client, "CoreV1Api", lambda _: fake)
    return fake


def printed(report: Report) -> str:
    return f"{report_line(report.to_json().encode())}\nloaded artifact {KEY}\n"


def test_an_agents_report_is_what_a_loader_of_its_artifact_printed(cluster: FakeCluster) -> None:
    cluster.pods = {
        "old": pod("old", key="0" * 64),
        "loading": pod("loading", exit_code=None),
        "failed": pod("failed", exit_code=21),
        "restarted": pod("restarted"),
        "good": pod("good"),
    }
    other = printed(REPORT.model_copy(update={"chosen": "other"}))
    cluster.logs = {"old": other, "loading": other, "failed": other, "good": printed(REPORT)}

    assert REPORT == parse_report(run("shoes", "--json").stdout)


def test_a_folder_of_the_agents_name_is_passed_over_where_a_namespace_is_given(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shoes").mkdir()

    assert REPORT == parse_report(run("shoes", "-n", "vision", "--json").stdout)


@pytest.mark.parametrize(
    ("status", "pods", "log", "why"),
    [
        pytest.param({}, {}, "", "no artifact yet: is the operator running", id="no status"),
        pytest.param(
            {
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "False",
                        "reason": "Building",
                        "message": "Judging candidate 3 of 5.",
                        "lastTransitionTime": "2026-01-01T00:00:00Z",
                    }
                ]
            },
            {},
            "",
            "no artifact yet: Building: Judging candidate 3 of 5",
            id="it is being built",
        ),
        pytest.param(None, {}, "", "no pod of agent shoes has loaded artifact 3f3f", id="no pods"),
        pytest.param(
            None, {"a": pod("a")}, "loaded", "older DLAgent started them", id="an older loader"
        ),
        pytest.param(
            None,
            {"a": pod("a")},
            str(report_line(b'{"formatVersion": 1}')),
            "built by an older DLAgent",
            id="an older report",
        ),
        pytest.param(
            None,
            {"a": pod("a")},
            printed(REPORT.model_copy(update={"key": "0" * 64})),
            "the report of another artifact",
            id="a report of another artifact",
        ),
    ],
)
def test_why_an_agent_has_no_report_is_said(
    cluster: FakeCluster, status: dict[str, Any] | None, pods: dict[str, Any], log: str, why: str
) -> None:
    cluster.status = cluster.status if status is None else status
    cluster.pods, cluster.logs = pods, {"a": log}

    with pytest.raises(CliError, match=why):
        run("shoes")


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        pytest.param(
            client.ApiException(status=403, reason="Forbidden"),
            r"Forbidden; .* pods/log\), which the ClusterRole view allows",
            id="not allowed",
        ),
        pytest.param(
            client.ApiException(status=500, reason="Broken"), "refused: Broken", id="broken"
        ),
        pytest.param(MaxRetryError(None, "/"), "does not answer", id="not there"),  # type: ignore[arg-type]  # no pool is needed
    ],
)
def test_what_the_cluster_refuses_is_said(
    cluster: FakeCluster, refused: Exception, why: str
) -> None:
    cluster.refused = refused

    with pytest.raises(CliError, match=why):
        run("shoes")
