"""A pod's batch counters against a server that answers as Triton does, or does not."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from dlagent.adapters.batch_statistics import TritonStatistics
from dlagent.domain.scaling.batch_counts import BatchCounts, Worked
from dlagent.domain.scaling.values import NoData


def entry(size: Any, batches: Any, nanoseconds: Any) -> dict[str, Any]:
    return {
        "batch_size": size,
        "compute_input": {"count": batches, "ns": 1_000_000},
        "compute_infer": {"count": batches, "ns": nanoseconds},
        "compute_output": {"count": batches, "ns": 2_000_000},
    }


def model(name: str, *entries: object) -> dict[str, Any]:
    """As Triton 2.51 says it, without what is not read."""
    return {
        "name": name,
        "version": "1",
        "last_inference": 1764396000000,
        "inference_count": 12,
        "execution_count": 7,
        "inference_stats": {"success": {"count": 12, "ns": 900_000_000}},
        "batch_stats": list(entries),
        "memory_usage": [],
        "response_stats": {},
    }


def asked(
    handler: object, seconds: float = 5.0, path: str = "/v2/models/stats"
) -> BatchCounts | NoData:
    async def main() -> BatchCounts | NoData:
        app = web.Application()
        app.router.add_get(path, handler)  # type: ignore[arg-type]
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        statistics = TritonStatistics(int(runner.addresses[0][1]), seconds)
        try:
            return await statistics.batch_counts("shoes-1", "127.0.0.1", 12.0)
        finally:
            await statistics.close()
            await runner.cleanup()

    return asyncio.run(main())


def said(answer: object, status: int = 200) -> BatchCounts | NoData:
    async def say(_: web.Request) -> web.Response:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return web.Response(text=text, status=status)

    return asked(say)


def test_the_counters_of_all_models_by_batch_size() -> None:
    found = said(
        {
            "model_stats": [
                model("shoes", entry(1, 4, 237_000_000), entry(8, 3, 597_000_000)),
                model("decide_"),
            ]
        }
    )
    shoes = {1: Worked(4, 0.24), 8: Worked(3, 0.6)}
    assert found == BatchCounts("shoes-1", 12.0, {"shoes": shoes, "decide_": {}})


@pytest.mark.parametrize(
    "answer",
    [
        "Unauthorized",
        "[]",
        {},
        {"model_stats": None},
        {"model_stats": [{"batch_stats": []}]},
        {"model_stats": [model("shoes", {"batch_size": 1})]},
        {"model_stats": [model("shoes", entry(1, -1, 1))]},
        {"model_stats": [model("shoes", entry(1, 1, 2**70))]},
        {"model_stats": [model("shoes", entry(1, 0.5, 1))]},
        {"model_stats": [model("shoes", entry(1, 1, "1"))]},
        '{"model_stats": [{"name": "shoes", "batch_stats": [{"batch_size": NaN}]}]}',
        "[" * 100_000,
    ],
)
def test_what_is_not_as_documented_is_no_data(answer: object) -> None:
    found = said(answer)
    assert isinstance(found, NoData)
    assert "cannot be read" in found.why


def test_another_status_is_no_data() -> None:
    found = said({"error": "not available"}, status=503)
    assert isinstance(found, NoData)
    assert "HTTP 503" in found.why


def test_no_more_is_read_than_statistics_can_have() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(1000):
            await answer.write(b" " * 100_000)
            sent += 1
        return answer

    found = asked(endless)
    assert isinstance(found, NoData)
    assert "more than" in found.why
    assert sent < 1000


def test_a_pod_that_does_not_answer_is_no_data() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    found = asked(hang, seconds=0.05)
    assert isinstance(found, NoData)
    assert "TimeoutError" in found.why


def test_a_pod_where_nobody_listens_is_no_data() -> None:
    async def main() -> BatchCounts | NoData:
        statistics = TritonStatistics(port=1)
        try:
            return await statistics.batch_counts("shoes-1", "127.0.0.1", 0.0)
        finally:
            await statistics.close()

    assert isinstance(asyncio.run(main()), NoData)


def test_an_address_that_is_none_is_no_data() -> None:
    async def main() -> BatchCounts | NoData:
        statistics = TritonStatistics()
        try:
            return await statistics.batch_counts("shoes-1", "no address", 0.0)
        finally:
            await statistics.close()

    assert isinstance(asyncio.run(main()), NoData)
