"""The self-check against a server that answers as Triton does, or does not."""

import asyncio
import json

import numpy as np
import pytest
from aiohttp import web

from dlagent.adapters.inference import TritonInference
from dlagent.api.types import DataType, Tensor
from dlagent.domain.artifact.selfcheck import ExpectedOutput, SelfCheck, golden_input
from dlagent.domain.status.errors import PodUnreachable

IMAGE = Tensor(name="image", data_type=DataType.FP32, shape=[1, 3])
GOLDEN = golden_input("seed", IMAGE)
CHECK = SelfCheck(
    seed="seed",
    inputs=[IMAGE],
    outputs=[
        ExpectedOutput(
            name="doubled",
            data_type=DataType.FP32,
            shape=[1, 3],
            head=[float(value) * 2 for value in GOLDEN.reshape(-1)],
        )
    ],
    relative_tolerance=1e-5,
    absolute_tolerance=1e-6,
)


async def triton(request: web.Request) -> web.StreamResponse:
    """Doubles the input, in Triton's binary form."""
    body = await request.read()
    length = int(request.headers["Inference-Header-Content-Length"])
    asked = json.loads(body[:length])
    assert asked["inputs"][0]["shape"] == [1, 3]
    doubled = (np.frombuffer(body[length:], dtype=np.float32) * 2).tobytes()
    output = {
        "name": "doubled",
        "datatype": "FP32",
        "shape": [1, 3],
        "parameters": {"binary_data_size": len(doubled)},
    }
    header = json.dumps({"model_name": "shoes", "outputs": [output]}).encode()
    return web.Response(
        body=header + doubled,
        headers={
            "Inference-Header-Content-Length": str(len(header)),
            "Content-Type": "application/octet-stream",
        },
    )


async def wrong(request: web.Request) -> web.StreamResponse:
    output = {"name": "doubled", "datatype": "FP32", "shape": [1, 3], "data": [9.0, 9.0, 9.0]}
    return web.json_response({"model_name": "shoes", "outputs": [output]})


async def silent_about_it(request: web.Request) -> web.StreamResponse:
    return web.json_response({"model_name": "shoes", "outputs": []})


async def refuse(request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "unexpected shape for input 'image'"}, status=400)


async def unknown(request: web.Request) -> web.StreamResponse:
    error = "Request for unknown model: 'shoes' has no available versions"
    return web.json_response({"error": error}, status=400)


async def busy(request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "server is exiting"}, status=503)


async def forbidden(request: web.Request) -> web.StreamResponse:
    return web.Response(text="RBAC: access denied", status=403)


async def throttled(request: web.Request) -> web.StreamResponse:
    return web.Response(text="local_rate_limited", status=429)


async def nowhere(request: web.Request) -> web.StreamResponse:
    return web.Response(text="no such route", status=404)


async def page(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Sign in</html>", content_type="text/html")


async def hang(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


def check(handler: object, seconds: float = 5.0) -> str | None:
    async def main() -> str | None:
        app = web.Application()
        app.router.add_post("/v2/models/shoes/infer", handler)  # type: ignore[arg-type]
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            inference = TritonInference(int(runner.addresses[0][1]), seconds)
            return await inference.self_check("127.0.0.1", "shoes", CHECK)
        finally:
            await runner.cleanup()

    return asyncio.run(main())


def test_the_golden_answer_passes() -> None:
    assert check(triton) is None


def test_another_answer_is_told() -> None:
    assert (check(wrong) or "").startswith("output doubled: value 0 is 9 instead of")


def test_a_missing_output_is_told() -> None:
    assert check(silent_about_it) == "output doubled is missing"


def test_a_refusal_is_told_in_the_words_of_triton() -> None:
    told = check(refuse)
    assert told == "Triton refused the golden input: unexpected shape for input 'image'"


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(forbidden, id="a proxy before it lets nobody in"),
        pytest.param(throttled, id="a proxy before it has had enough"),
        pytest.param(nowhere, id="a proxy before it knows no such address"),
        pytest.param(page, id="a page"),
    ],
)
def test_what_is_between_the_operator_and_triton_gives_no_verdict(handler: object) -> None:
    with pytest.raises(PodUnreachable):
        check(handler)


@pytest.mark.parametrize("handler", [unknown, busy])
def test_a_triton_that_is_loading_or_exiting_is_no_verdict(handler: object) -> None:
    with pytest.raises(PodUnreachable):
        check(handler)


def test_a_pod_that_does_not_answer_is_no_verdict() -> None:
    with pytest.raises(PodUnreachable, match="TimeoutError"):
        check(hang, seconds=0.05)


def test_a_pod_where_nobody_listens_is_no_verdict() -> None:
    with pytest.raises(PodUnreachable):
        asyncio.run(TritonInference(port=1).self_check("127.0.0.1", "shoes", CHECK))
