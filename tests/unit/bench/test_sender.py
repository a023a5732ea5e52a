"""The sender keeps its times whatever the server does, counts each request, tries none again."""

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from dlagent.bench.journal import ANSWERED, NO_RESOURCES, NOT_SENT, UNFINISHED, Requests
from dlagent.bench.sender import Limits, Post, Sender

BODY = b"\x00body"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def ok(_request: web.Request) -> web.Response:
    return web.Response(body=b"answer")


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/infer", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/infer"))


async def load(url: str, due: list[float], limits: Limits | None = None) -> Requests:
    sender = Sender(Post(url, BODY, {"X-Kind": "test"}), limits or Limits())
    await sender.send(due)
    assert len(due) == sender.due == len(sender.journal)
    assert 0 == sender.in_flight
    return sender.journal.requests()


def outcomes(requests: Requests) -> dict[str, int]:
    return dict(Counter(requests.outcomes[place] for place in requests.outcome))


async def test_each_request_is_sent_once_with_its_body_and_headers() -> None:
    received = []

    async def handler(request: web.Request) -> web.Response:
        received.append((await request.read(), request.headers["X-Kind"]))
        assert "Accept-Encoding" not in request.headers
        return await ok(request)

    async with serving(handler) as url:
        requests = await load(url, [0.0, 0.01, 0.01, 0.03])
    assert [(BODY, "test")] * 4 == received
    assert {ANSWERED: 4} == outcomes(requests)
    assert [0.0, 0.01, 0.01, 0.03] == sorted(requests.due_seconds)


async def test_requests_are_sent_at_their_times() -> None:
    loop, arrived = asyncio.get_running_loop(), list[float]()

    async def handler(request: web.Request) -> web.Response:
        arrived.append(loop.time())
        return await ok(request)

    async with serving(handler) as url:
        requests = await load(url, [0.0, 0.1, 0.3])
    assert arrived[1] - arrived[0] > 0.05
    assert arrived[2] - arrived[0] > 0.25
    assert (requests.late_seconds >= 0).all()


async def test_a_stall_of_the_server_shows_in_every_request_that_it_held_back() -> None:
    """A closed loop would wait with the server, and count one slow request."""
    stall_seconds, gate = 1.0, asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        await gate.wait()
        return await ok(request)

    async with serving(handler) as url:
        asyncio.get_running_loop().call_later(stall_seconds, gate.set)
        requests = await load(url, (np.arange(100) / 50).tolist())
    held = requests.due_seconds < stall_seconds - 0.1
    expected = stall_seconds - requests.due_seconds[held]
    assert {ANSWERED: 100} == outcomes(requests)
    assert 45 == held.sum()
    assert (requests.latency_seconds[held] > expected - 0.1).all()
    assert np.percentile(requests.latency_seconds, 75) > 0.4
    assert np.percentile(requests.latency_seconds, 25) < 0.4


async def test_beyond_the_limit_a_request_is_not_sent_and_counted() -> None:
    gate, received = asyncio.Event(), list[bytes]()

    async def handler(request: web.Request) -> web.Response:
        received.append(await request.read())
        await gate.wait()
        return await ok(request)

    async with serving(handler) as url:
        asyncio.get_running_loop().call_later(0.3, gate.set)
        requests = await load(url, [0.0, 0.01, 0.02, 0.03, 0.04], Limits(connections=2))
    assert {ANSWERED: 2, NOT_SENT: 3} == outcomes(requests)
    assert 2 == len(received)
    assert {NOT_SENT: 3} == requests.failures()


async def drop(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"half")
    return await drop(request)


async def busy(_request: web.Request) -> web.Response:
    return web.Response(status=503)


async def elsewhere(_request: web.Request) -> web.Response:
    raise web.HTTPTemporaryRedirect("/infer")


async def never(_request: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        pytest.param(busy, "HTTP 503", id="refused"),
        pytest.param(elsewhere, "HTTP 307", id="a redirection is not followed"),
        pytest.param(drop, "connection lost", id="the connection breaks before the answer"),
        pytest.param(half, "connection lost", id="the connection breaks within the answer"),
        pytest.param(never, "no answer in time", id="no answer"),
    ],
)
async def test_failures_are_counted_by_kind_and_not_tried_again(
    handler: Handler, kind: str
) -> None:
    received = 0

    async def counting(request: web.Request) -> web.StreamResponse:
        nonlocal received
        received += 1
        return await handler(request)

    async with serving(counting) as url:
        requests = await load(url, [0.0, 0.01, 0.02], Limits(timeout_seconds=0.3))
    assert {kind: 3} == requests.failures()
    assert 3 == received


async def test_the_server_goes_meanwhile() -> None:
    async with serving(ok) as url:
        sender = Sender(Post(url, BODY), Limits())
        sending = asyncio.create_task(sender.send([0.0, 0.05, 1.0, 1.1]))
        await asyncio.wait({sending}, timeout=0.5)
    await sending
    assert {ANSWERED: 2, "connection refused": 2} == outcomes(sender.journal.requests())


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        requests = await load(f"http://127.0.0.1:{taken.getsockname()[1]}", [0.0, 0.01])
    assert {"connection refused": 2} == requests.failures()


@pytest.mark.parametrize(
    ("fresh", "expected"),
    [
        pytest.param(True, 6, id="each request has a connection of its own"),
        pytest.param(False, 2, id="connections are kept and used in turn"),
    ],
)
async def test_connections(fresh: bool, expected: int) -> None:
    clients, two_at_once = Counter[object](), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        clients[request.transport.get_extra_info("peername")] += 1
        assert fresh == (request.headers.get("Connection") == "close")
        if sum(clients.values()) == 2:
            two_at_once.set()
        await two_at_once.wait()
        return await ok(request)

    async with serving(handler) as url:
        due = [0.0, 0.0, 0.5, 0.7, 0.9, 1.1]
        await load(url, due, Limits(fresh_connections=fresh))
    assert expected == len(clients)
    assert {6 // expected} == set(clients.values())


async def test_a_rate_that_cannot_be_sent_is_given_up() -> None:
    async with serving(ok) as url:
        sender = Sender(Post(url, BODY), Limits(timeout_seconds=0.3))
        await sender.send([0.0] * 1_000_000)
    assert sender.too_slow
    assert 0 < sender.due == len(sender.journal) < 1_000_000


async def test_running_out_of_files_is_not_the_servers_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_more(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", no_more)
    requests = await load("http://127.0.0.1:9/infer", [0.0, 0.0])
    assert {NO_RESOURCES: 2} == outcomes(requests)


async def test_a_proxy_on_the_way_is_used() -> None:
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(str(request.url))
        return await ok(request)

    async with serving(handler) as url:
        sender = Sender(Post("http://nowhere.invalid/infer", BODY, proxy=url), Limits())
        await sender.send([0.0])
    assert {} == sender.journal.failures()
    assert ["http://nowhere.invalid/infer"] == seen


async def test_stop_ends_the_load_at_once_and_counts_what_was_under_way() -> None:
    async with serving(never) as url:
        sender = Sender(Post(url, BODY), Limits())
        asyncio.get_running_loop().call_later(0.2, sender.stop)
        async with asyncio.timeout(5):
            await sender.send([0.0, 0.1, 50.0, 100.0])
        assert sender.interrupted
        assert 2 == sender.due
        assert {UNFINISHED: 2} == outcomes(sender.journal.requests())
        assert {} == sender.journal.failures()


async def test_an_error_of_ours_is_not_taken_for_one_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: object) -> str:
        raise KeyError("a bug")

    monkeypatch.setattr(Sender, "_exchange", broken)
    with pytest.raises(KeyError):
        await Sender(Post("http://127.0.0.1:9", BODY), Limits()).send([0.0, 50.0])
