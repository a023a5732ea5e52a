"""`dlagent explain`: through a cluster or by addresses, now and in the past, as text and JSON."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from kubernetes import client
from typer.testing import CliRunner

from dlagent.cli import explain
from dlagent.cli.errors import CliError
from dlagent.cli.explain import app, parse_time
from dlagent.domain.scaling.situation import to_json
from tests.unit.cli.explained import (
    NOW,
    OPERATOR,
    PROMETHEUS,
    SETTINGS,
    SITUATION,
    Backend,
    FakeCluster,
    served,
)


@pytest.fixture
def backend() -> Iterator[Backend]:
    with served() as fake:
        yield fake


@pytest.fixture
def cluster(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    fake = FakeCluster()
    api = client.ApiClient(client.Configuration(host=backend.url))
    monkeypatch.setattr(explain, "find_cluster", lambda _: (api, "vision"))
    monkeypatch.setattr(explain, "find_agent", lambda *_: {"status": {}})
    monkeypatch.setattr(client, "CoreV1Api", lambda _: fake)
    return fake


def run(*arguments: str) -> str:
    """Its lines as one; errors come out as main.py sees them."""
    result = CliRunner(env={"COLUMNS": "120"}).invoke(app, arguments, catch_exceptions=False)
    assert 0 == result.exit_code, result.output
    return " ".join(result.stdout.split())


def test_the_present_is_what_the_operator_says_that_leads(
    cluster: FakeCluster, backend: Backend
) -> None:
    text = run("shoes")
    assert text.startswith("shoes in vision, 2026-03-01 12:30:00 UTC Seen 100 requests/s arrive.")
    assert "At 130 requests/s one replica more is asked for" in text
    assert "Burn rate of the error budget: 0.4 over the hour before" in text
    assert text.endswith("48 replica hours. That is 96.00 EUR: 0.024 EUR per 1,000 requests.")
    assert [OPERATOR % "standby", OPERATOR % "leader"] == backend.seen[:2]
    assert {NOW} == {at for _, at in backend.asked}


def test_a_pod_that_this_machine_reaches_is_asked_itself(
    cluster: FakeCluster, backend: Backend
) -> None:
    port = urlsplit(backend.url).port
    cluster.settings = f"{SETTINGS}server: {{port: {port}}}\n"
    cluster.phases = {"leader": "Running"}
    cluster.addresses = {"leader": "127.0.0.1"}
    backend.answers["/explain/vision/shoes"] = (200, to_json(SITUATION))
    assert "100 requests/s arrive" in run("shoes")
    assert "/explain/vision/shoes" == backend.seen[0]


def test_the_past_is_what_prometheus_has_recorded(cluster: FakeCluster, backend: Backend) -> None:
    text = run("shoes", "--at", "2026-03-01T13:00:00+01:00")
    for sentence in (
        "2026-03-01 12:00:00 UTC",
        "61.5 requests/s arrive",
        "The p99 is 222 ms",
        "Pods: 3 answer, 2 are coming up.",
        "In the next 4 min 70.5 requests/s are expected",
        "3 replicas, by what the load may become.",
        "3 replicas answer 97.2 requests/s within the promise.",
    ):
        assert sentence in text
    assert {NOW - 1800} == {at for _, at in backend.asked}
    queries = [query for query, _ in backend.asked]
    assert all('{agent_namespace="vision",agent="shoes"}' in q for q in queries[1:])


def test_a_forecast_that_was_recorded_in_part_is_none(
    cluster: FakeCluster, backend: Backend
) -> None:
    del backend.gauges["dlagent_miss_price_replica_seconds"]
    assert "There is none: it needs" in run("shoes", "--at", "10m")


def test_json_has_the_figures_and_the_words(cluster: FakeCluster) -> None:
    found = json.loads(run("shoes", "-o", "json"))
    assert ("shoes", "vision") == (found["agent"], found["namespace"])
    assert 100.0 == found["situation"]["load"]["arrivals"]
    assert 96.0 == found["spent"]["costs"]["EUR"]
    assert ["4 replicas, by the load as it is.", "So it is."] == found["explanation"]["Decided"]


def test_addresses_that_are_given_go_before_the_cluster(
    cluster: FakeCluster, backend: Backend
) -> None:
    cluster.refused = AssertionError("nobody needs it")
    backend.answers["/explain/other/shoes"] = (200, to_json(SITUATION))
    backend.prometheus = "/api/v1/query"
    text = run("shoes", "-n", "other", "--operator", backend.url, "--prometheus", backend.url)
    assert "shoes in other" in text
    assert "48 replica hours" in text


def test_a_token_goes_to_the_prometheus_that_it_is_for_and_nowhere_else(
    cluster: FakeCluster, backend: Backend, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("a-token\n")
    backend.answers["/explain/vision/shoes"] = (200, to_json(SITUATION))
    backend.prometheus = "/api/v1/query"
    asked = ("--operator", backend.url, "--prometheus", backend.url)
    text = run("shoes", *asked, "--prometheus-token-file", str(tmp_path / "token"))
    assert "48 replica hours" in text
    assert backend.tokens["/api/v1/query"] == "Bearer a-token"
    assert backend.tokens["/explain/vision/shoes"] is None


@pytest.mark.parametrize(
    ("options", "why"),
    [
        pytest.param((), "give the address that it is for by --prometheus", id="no address"),
        pytest.param(("--prometheus", "http://p"), "No such file", id="no such file"),
    ],
)
def test_a_token_that_cannot_be_sent_is_refused(
    cluster: FakeCluster, tmp_path: Path, options: tuple[str, ...], why: str
) -> None:
    missing = str(tmp_path / "token")
    with pytest.raises(CliError, match=f"--prometheus-token-file.*{why}"):
        run("shoes", *options, "--prometheus-token-file", missing)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((503, b"no endpoints"), id="nothing behind its Service"),
        pytest.param((200, b"<html>"), id="something else is there"),
        pytest.param((200, b"[]"), id="other JSON"),
    ],
)
def test_without_prometheus_the_present_is_explained_all_the_same(
    cluster: FakeCluster, backend: Backend, answer: tuple[int, bytes]
) -> None:
    backend.answers[PROMETHEUS] = answer
    text = run("shoes")
    assert "100 requests/s arrive" in text
    assert "Cost and error budget are not known: " in text


def test_an_operator_without_prometheus_has_no_past(cluster: FakeCluster) -> None:
    cluster.settings = SETTINGS.partition("prometheus:")[0]
    with pytest.raises(CliError, match=r"asks no Prometheus \(prometheus.url in its settings\)"):
        run("shoes", "--at", "1h")


def test_a_prometheus_outside_of_the_cluster_is_asked_itself(
    cluster: FakeCluster, backend: Backend
) -> None:
    cluster.settings = SETTINGS.replace("http://prometheus.monitoring:9090/at", backend.url)
    backend.prometheus = "/api/v1/query"
    assert "48 replica hours" in run("shoes")


@pytest.mark.parametrize(
    ("ready", "why"),
    [
        pytest.param([], "about agent shoes yet: it is new to it", id="no status"),
        pytest.param(
            [{"type": "Ready", "reason": "InvalidSpec", "message": "cron: no."}],
            "InvalidSpec: cron: no.",
            id="a spec that cannot be used",
        ),
    ],
)
def test_an_agent_that_was_not_looked_at(
    cluster: FakeCluster,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    ready: list[dict[str, str]],
    why: str,
) -> None:
    backend.answers = {}
    monkeypatch.setattr(explain, "find_agent", lambda *_: {"status": {"conditions": ready}})
    with pytest.raises(CliError, match=why):
        run("shoes")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param((500, b""), "the operator answered HTTP 500", id="it failed"),
        pytest.param((200, b"{}"), "use its version", id="it is another version"),
    ],
)
def test_what_the_operator_cannot_explain(
    cluster: FakeCluster, backend: Backend, answer: tuple[int, bytes], why: str
) -> None:
    backend.answers[OPERATOR % "leader"] = answer
    with pytest.raises(CliError, match=why):
        run("shoes")


def test_a_time_that_nobody_recorded(cluster: FakeCluster, backend: Backend) -> None:
    backend.gauges = {}
    with pytest.raises(CliError, match="no record of agent shoes in namespace vision at 20"):
        run("shoes", "--at", "30d")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param({"settings": None}, "no operator looks after namespace vision", id="none"),
        pytest.param(
            {"settings": SETTINGS + "watch: {namespaces: [other]}"},
            "no operator looks after namespace vision",
            id="one that looks elsewhere",
        ),
        pytest.param({"settings": "a: 1"}, "the operator's settings: ", id="settings of another"),
        pytest.param({"phases": {"a": "Pending"}}, "no pod of the operator runs", id="no pod"),
        pytest.param(
            {"refused": client.ApiException(status=403, reason="Forbidden")},
            "give --operator and --prometheus: Forbidden",
            id="no right",
        ),
    ],
)
def test_why_there_is_no_way_to_the_operator(
    cluster: FakeCluster, change: dict[str, Any], why: str
) -> None:
    for name, value in change.items():
        setattr(cluster, name, value)
    with pytest.raises(CliError, match=why):
        run("shoes")


@pytest.mark.parametrize(
    ("text", "seconds_ago"),
    [
        ("10m", 600),
        ("10m ago", 600),
        ("90s", 90),
        ("2h ago", 7200),
        ("1d", 86_400),
        ("2026-03-01T12:29:00Z", 60),
        ("2026-03-01T13:29:00+01:00", 60),
        ("2026-03-01 12:29:00+00:00", 60),
    ],
)
def test_times(text: str, seconds_ago: float) -> None:
    now = datetime.fromtimestamp(NOW, UTC)
    assert seconds_ago == (now - parse_time(text, now)).total_seconds()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("yesterday", "give a time such as", id="a word"),
        pytest.param("10 weeks", "give a time such as", id="a unit that nobody knows"),
        pytest.param("2026-03-01T12:00:00", "say which clock that is", id="no zone"),
        pytest.param("2026-03-01", r"00:00:00Z, or 2026-03-01T00:00:00\+02:00", id="a day"),
        pytest.param("2026-03-01T12:31:00Z", "yet to come", id="the future"),
        pytest.param("999999d", "give a time such as", id="before all times"),
    ],
)
def test_times_that_are_none(text: str, why: str) -> None:
    with pytest.raises(CliError, match=why):
        parse_time(text, datetime.fromtimestamp(NOW, UTC))


def test_orders_to_the_terminal_are_taken_out(cluster: FakeCluster, backend: Backend) -> None:
    assert SITUATION.decided is not None
    evil = replace(SITUATION, decided=replace(SITUATION.decided, message="[bold]a\x1b[2J"))
    backend.answers[OPERATOR % "leader"] = (200, to_json(evil))
    text = run("shoes")
    assert "[bold]a" in text
    assert "\x1b[2J" not in text
