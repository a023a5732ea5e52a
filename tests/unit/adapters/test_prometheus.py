"""Prometheus' answers, good and bad, from a server in this process.

That the queries themselves mean what they should is tested on the real one: tests/integration.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dlagent.adapters.prometheus import Prometheus
from dlagent.domain.scaling.samples import PodSamples, Snapshot, timed
from dlagent.domain.scaling.slo import SloWindow
from dlagent.domain.scaling.values import NoData

NOW = 1000.0
Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass
class Connection:
    url: str | None
    scrape_interval_seconds: int = 15
    timeout_seconds: int = 1
    bearer_token_file: Path | None = None
    ca_file: Path | None = None


@asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[Prometheus]:
    application = web.Application()
    application.router.add_post("/api/v1/query", handler)
    async with TestServer(application) as server:
        prometheus = Prometheus(Connection(str(server.make_url("/")), **options), [])
        try:
            yield prometheus
        finally:
            await prometheus.close()


def answer(result: list[Any]) -> web.Response:
    return web.json_response({"status": "success", "data": {"result": result}})


def labels(name: str | None = None, **more: str) -> dict[str, str]:
    given = {"namespace": "vision", "pod": "a", "dlagent": "shoes", "model": "shoes", **more}
    return {"__name__": name, **given} if name else given


def series(name: str, *values: str, **more: str) -> dict[str, Any]:
    samples = [[NOW - 15 * (len(values) - n - 1), value] for n, value in enumerate(values)]
    return {"metric": labels(name, **more), "values": samples}


COMPLETE = [
    series("nv_inference_request_success", "10", "20"),
    series("nv_inference_request_failure", "0", "1"),
    series("nv_inference_pending_request_count", "0", "2"),
    series("nv_inference_count", "40", "80"),
]
QUANTILES = [
    {"metric": labels(quantile="0.99"), "value": [NOW, "200000"]},
    {"metric": labels(quantile="0.5"), "value": [NOW, "100000"]},
]


def by_query(counters: list[Any], quantiles: list[Any]) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        query = (await request.post())["query"]
        return answer(quantiles if "summary" in str(query) else counters)

    return handler


async def test_samples_of_a_pod_and_its_quantiles_in_seconds() -> None:
    async with serving(by_query(COMPLETE, QUANTILES)) as prometheus:
        found = await prometheus.snapshot(NOW, [0.5])
    assert isinstance(found, Snapshot)
    quantiles = found.pods["vision", "a"].quantiles
    assert {0.5: pytest.approx(0.1), 0.99: pytest.approx(0.2)} == dict(quantiles)
    expected = PodSamples(
        successes=((NOW - 15, 10), (NOW, 20)),
        failures=((NOW - 15, 0), (NOW, 1)),
        pending=((NOW - 15, 0), (NOW, 2)),
        inferences=((NOW - 15, 40), (NOW, 80)),
        quantiles=quantiles,
    )
    assert Snapshot(NOW, {("vision", "a"): expected}) == found


@pytest.mark.parametrize(
    ("extra", "twice"),
    [
        pytest.param(
            [series("nv_inference_request_success", "5", instance="other")],
            True,
            id="a pod that is scraped by two jobs is marked",
        ),
        pytest.param(
            [series("nv_inference_request_success", "5", model="part")],
            False,
            id="a model that is a part of the agent is left out",
        ),
    ],
)
async def test_more_than_one_series(extra: list[Any], twice: bool) -> None:
    async with serving(by_query([*COMPLETE, *extra], [])) as prometheus:
        found = await prometheus.snapshot(NOW, [0.5])
    assert isinstance(found, Snapshot)
    assert twice is found.pods["vision", "a"].twice


async def test_failures_are_added_over_their_reasons() -> None:
    more = [
        series("nv_inference_request_failure", "3", "4", reason="BACKEND"),
        series("nv_inference_request_failure", "0", "5", reason="CANCELED"),
    ]
    async with serving(by_query([*COMPLETE, *more], [])) as prometheus:
        found = await prometheus.snapshot(NOW, [0.5])
    assert isinstance(found, Snapshot)
    pod = found.pods["vision", "a"]
    assert ((NOW - 15, 3), (NOW, 10)) == pod.failures
    assert not pod.twice


async def test_what_waits_before_the_members_of_an_ensemble_waits_for_the_agent() -> None:
    more = [
        series("nv_inference_pending_request_count", "1", "3", model="perceive_"),
        series("nv_inference_pending_request_count", "0", "4", model="decide_"),
        series("nv_inference_request_success", "7", "9", model="decide_"),
        series("nv_inference_pending_request_count", "8", "8", model="somebody-else"),
    ]
    async with serving(by_query([*COMPLETE, *more], [])) as prometheus:
        found = await prometheus.snapshot(NOW, [0.5])
    assert isinstance(found, Snapshot)
    pod = found.pods["vision", "a"]
    assert ((NOW - 15, 1), (NOW, 9)) == pod.pending
    assert ((NOW - 15, 10), (NOW, 20)) == pod.successes
    assert not pod.twice


def buckets(**changes: str) -> list[dict[str, Any]]:
    name = "nv_inference_first_response_histogram_ms_bucket"
    found = [("+Inf", ("10", "20")), ("500.0", ("9", "17")), ("250", ("5", "8"))]
    return [series(name, *values, le=edge, **changes) for edge, values in found]


async def test_a_histogram_by_the_ends_of_its_buckets_in_seconds() -> None:
    async with serving(by_query([*COMPLETE, *buckets()], QUANTILES)) as prometheus:
        found = await prometheus.snapshot(NOW, [0.5, 0.25])
    assert isinstance(found, Snapshot)
    pod = found.pods["vision", "a"]
    assert not pod.twice
    assert [0.25, 0.5, math.inf] == [edge for edge, _ in pod.buckets]
    assert timed(pod, 0.5) == (((NOW - 15, 10), (NOW, 20)), ((NOW - 15, 9), (NOW, 17)))
    assert timed(pod, 0.4) is None


@pytest.mark.parametrize(
    ("extra", "twice"),
    [
        pytest.param(buckets(instance="other"), True, id="a histogram that is there twice"),
        pytest.param(buckets(model="part"), False, id="that of a part of the agent is not its own"),
        pytest.param(
            [series("nv_inference_first_response_histogram_ms_bucket", "1")],
            False,
            id="somebody else's, without an edge",
        ),
    ],
)
async def test_other_histograms(extra: list[Any], twice: bool) -> None:
    async with serving(by_query([*COMPLETE, *buckets(), *extra], [])) as prometheus:
        found = await prometheus.snapshot(NOW, [0.5])
    assert isinstance(found, Snapshot)
    assert twice == found.pods["vision", "a"].twice


async def test_no_more_is_asked_of_histograms_than_is_needed() -> None:
    queries: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        queries.append(str((await request.post())["query"]))
        return answer([])

    async with serving(handler) as prometheus:
        await prometheus.snapshot(NOW, [0.5, 0.0125])
    assert 'le=~"|[+]Inf|12[.]5([.]0)?|500([.]0)?"' in queries[0]


async def test_quantiles_of_somebody_else_are_left_out() -> None:
    strange = {"metric": labels(quantile="most"), "value": [NOW, "1"]}
    async with serving(by_query(COMPLETE, [strange])) as prometheus:
        found = await prometheus.snapshot(NOW, [0.5])
    assert isinstance(found, Snapshot)
    assert () == found.pods["vision", "a"].quantiles


async def test_a_label_may_be_called_metric() -> None:
    found_in = {"metric": "requests", "values": "many"}
    counters = [series(s["metric"]["__name__"], "1", **found_in) for s in COMPLETE]
    async with serving(by_query(counters, QUANTILES)) as prometheus:
        found = await prometheus.snapshot(NOW, [0.5])
    assert isinstance(found, Snapshot)
    assert ((NOW, 1),) == found.pods["vision", "a"].successes


async def test_no_series_at_all_are_no_pods() -> None:
    async with serving(by_query([], [])) as prometheus:
        assert Snapshot(NOW, {}) == await prometheus.snapshot(NOW, [0.5])


# One text for both, so that an outage of changing faces does not rewrite the status of all agents.
DOES_NOT_ANSWER = "Prometheus does not answer (the operator's log says why)"


async def slow(_request: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return answer([])


async def broken(_request: web.Request) -> web.Response:
    return web.Response(status=503, text="<html>try later</html>")


async def refusing(_request: web.Request) -> web.Response:
    text = json.dumps({"status": "error", "error": "query processing would load too many samples"})
    return web.Response(status=422, text=text)


async def strange(_request: web.Request) -> web.Response:
    return web.json_response(["no", "object"])


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        pytest.param(slow, DOES_NOT_ANSWER, id="slow"),
        pytest.param(broken, "Prometheus answered HTTP 503 without JSON", id="a proxy's page"),
        pytest.param(
            refusing,
            "Prometheus answered HTTP 422: query processing would load too many samples",
            id="a refusal",
        ),
        pytest.param(strange, "Prometheus answered HTTP 200: no result", id="other JSON"),
    ],
)
async def test_a_bad_answer_is_no_data_and_says_why(handler: Handler, why: str) -> None:
    async with serving(handler) as prometheus:
        assert NoData(why) == await prometheus.snapshot(NOW, [0.5])
        assert NoData(why) == await prometheus.slo_windows(NOW, 7)


SERIES = {"metric": labels(__name__="nv_inference_count"), "values": [[NOW, "1"]]}


TOO_LONG = {**SERIES, "values": [[int("9" * 400), "1"]]}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"result": [TOO_LONG]}, id="a time of hundreds of digits"),
        pytest.param([], id="a list where an object is documented"),
        pytest.param({"result": [NOW, "1"]}, id="a scalar"),
        pytest.param({"result": [None]}, id="null in place of a series"),
        pytest.param({"result": [{}]}, id="an object without anything"),
        pytest.param({"result": [{"values": []}]}, id="a series without labels"),
        pytest.param({"result": [{**SERIES, "values": None}]}, id="a series of null"),
        pytest.param({"result": [{**SERIES, "values": [[NOW, "many"]]}]}, id="a word as a value"),
        pytest.param({"result": [{"metric": SERIES["metric"]}]}, id="histograms and no values"),
    ],
)
async def test_an_answer_of_another_shape_is_no_data(data: Any) -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": data})

    async with serving(handler) as prometheus:
        assert isinstance(await prometheus.snapshot(NOW, [0.5]), NoData)
        assert isinstance(await prometheus.slo_windows(NOW, 7), NoData)


async def test_an_answer_without_an_end_to_its_depth_is_no_data() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(text="[" * 100_000)

    async with serving(handler) as prometheus:
        assert isinstance(await prometheus.snapshot(NOW, [0.5]), NoData)


async def test_what_waits_is_in_the_order_of_time_though_members_were_loaded_later() -> None:
    name = "nv_inference_pending_request_count"
    more = [series(name, "1", "2", model="decide_"), series(name, "1", "1", "1", model="act_")]
    async with serving(by_query([*COMPLETE, *more], [])) as prometheus:
        found = await prometheus.snapshot(NOW, [0.5])
    assert isinstance(found, Snapshot)
    assert ((NOW - 30, 1), (NOW - 15, 2), (NOW, 5)) == found.pods["vision", "a"].pending


async def test_a_token_that_cannot_be_sent_is_no_data(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"\xff\xfe")
    async with serving(by_query([], []), bearer_token_file=token) as prometheus:
        assert NoData(DOES_NOT_ANSWER) == await prometheus.snapshot(NOW, [0.5])


async def test_nobody_there_is_no_data() -> None:
    prometheus = Prometheus(Connection("http://127.0.0.1:9"), [])
    found = await prometheus.snapshot(NOW, [0.5])
    await prometheus.close()
    assert NoData(DOES_NOT_ANSWER) == found


async def test_without_a_url_the_setting_is_named() -> None:
    found = await Prometheus(Connection(None), []).snapshot(NOW, [0.5])
    assert isinstance(found, NoData)
    assert "prometheus.url" in found.why


async def test_the_token_is_read_anew_each_time(tmp_path: Path) -> None:
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return answer([])

    token = tmp_path / "token"
    token.write_text("first\n")
    async with serving(handler, bearer_token_file=token) as prometheus:
        await prometheus.snapshot(NOW, [0.5])
        token.write_text("second\n")
        await prometheus.snapshot(NOW, [0.5])
        token.unlink()
        found = await prometheus.snapshot(NOW, [0.5])
    assert ["Bearer first"] * 2 + ["Bearer second"] * 2 == seen
    assert isinstance(found, NoData)


async def test_only_the_namespaces_that_are_watched_are_asked_for() -> None:
    queries = []

    async def handler(request: web.Request) -> web.Response:
        queries.append(str((await request.post())["query"]))
        return answer([])

    async with serving(handler) as whole:
        url = whole._connection.url
        some = Prometheus(Connection(url), ["a", "b"])
        await some.snapshot(NOW, [0.5])
        await some.close()
    assert all('namespace=~"a|b"' in query for query in queries)


async def test_the_window_is_the_sum_of_what_was_recorded_each_minute() -> None:
    async def handler(request: web.Request) -> web.Response:
        query = str((await request.post())["query"])
        agent = {"agent_namespace": "vision", "agent": "shoes"}
        idle = {"agent_namespace": "vision", "agent": "idle"}
        value = "30" if query.startswith("count") else "450" if "good" in query else "500"
        return answer(
            [
                {"metric": agent, "value": [NOW, value]},
                {"metric": idle, "value": [NOW, "NaN"]},
            ]
        )

    async with serving(handler) as prometheus:
        found = await prometheus.slo_windows(NOW, 7)
    assert {("vision", "shoes"): SloWindow(100, 90, 1800)} == found
