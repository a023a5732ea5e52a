"""Probes and metrics, asked over a real socket."""

import asyncio

import aiohttp

from dlagent.runtime.metrics import Metrics
from dlagent.runtime.server import Server


def explained(namespace: str, name: str) -> bytes | None:
    return b"{}" if (namespace, name) == ("vision", "shoes") else None


def ask(metrics: Metrics, not_ready: str | None) -> dict[str, tuple[int, str]]:
    async def main() -> dict[str, tuple[int, str]]:
        server = Server(metrics, lambda: not_ready, explained, "127.0.0.1", 0)
        port = await server.start()
        answers = {}
        async with aiohttp.ClientSession() as session:
            for path in ("metrics", "healthz", "readyz", "explain/vision/shoes", "explain/a/b"):
                async with session.get(f"http://127.0.0.1:{port}/{path}") as answer:
                    answers[path] = (answer.status, await answer.text())
        await server.stop()
        return answers

    return asyncio.run(main())


def test_an_operator_that_is_not_ready_is_healthy_and_says_why() -> None:
    answers = ask(Metrics(), "waiting for the first list of Pod")
    assert answers["healthz"] == (200, "ok")
    assert answers["readyz"] == (503, "waiting for the first list of Pod")


def test_an_operator_that_is_ready_says_ok() -> None:
    assert ask(Metrics(), None)["readyz"] == (200, "ok")


def test_an_agent_is_explained_where_the_scaler_knows_it() -> None:
    answers = ask(Metrics(), None)
    assert (200, "{}") == answers["explain/vision/shoes"]
    assert (404, "this process has not looked at it") == answers["explain/a/b"]


def test_metrics_are_named_by_the_conventions() -> None:
    metrics = Metrics()
    metrics.started(0.2)
    metrics.finished(0.3, "success")
    metrics.finished(0.3, "error")
    metrics.requested("apply", "Deployment", 409)
    metrics.ghosts("Pod", 2)
    metrics.watched("Pod")
    metrics.observe("dlagent_queue_depth", "Agents that wait.", lambda: 3.0)
    metrics.observe_by_kind("dlagent_cache_objects", "Objects.", lambda: {"Pod": 4.0})
    text = ask(metrics, None)["metrics"][1]
    for line in (
        'dlagent_reconcile_duration_seconds_count{result="success"} 1.0',
        "dlagent_queue_wait_seconds_count 1.0",
        "dlagent_reconcile_retries_total 1.0",
        'dlagent_api_requests_total{kind="Deployment",status="409",verb="apply"} 1.0',
        'dlagent_cache_ghosts_total{kind="Pod"} 2.0',
        'dlagent_watch_events_total{kind="Pod"} 1.0',
        "dlagent_queue_depth 3.0",
        'dlagent_cache_objects{kind="Pod"} 4.0',
        "process_resident_memory_bytes",
    ):
        assert line in text
    assert "_created" not in text


def test_sweeps_are_counted() -> None:
    metrics = Metrics()
    metrics.swept(2, 1000)
    metrics.swept(0, 0)
    metrics.sweep_failed()

    text = ask(metrics, None)["metrics"][1]

    assert 'dlagent_sweeps_total{result="success"} 2.0' in text
    assert 'dlagent_sweeps_total{result="error"} 1.0' in text
    assert "dlagent_swept_artifacts_total 2.0" in text
    assert "dlagent_swept_bytes_total 1000.0" in text
