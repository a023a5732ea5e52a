"""Requests to an apiserver that answers with errors, or not at all."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration

from dlagent.adapters.api import (
    PAGE,
    Api,
    ConflictError,
    ForbiddenError,
    InvalidError,
    MissingError,
    ThrottledError,
    UnansweredError,
    UnavailableError,
)
from dlagent.adapters.kinds import AGENT, BY_KIND, WATCHED
from dlagent.domain.status.errors import ClusterError

PODS = BY_KIND["Pod"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[tuple[Api, list[tuple[str, str, int]]]]:
    """A client of a server with this handler, and what the client told of its requests."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    observed: list[tuple[str, str, int]] = []
    configuration = Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")
    api = Api(ApiClient(configuration), lambda *seen: observed.append(seen))
    try:
        yield api, observed
    finally:
        await api.close()
        await runner.cleanup()


def ask(handler: Handler, timeout_seconds: float = 5.0) -> list[tuple[str, str, int]]:
    async def main() -> list[tuple[str, str, int]]:
        async with serving(handler) as (api, observed):
            path = PODS.path("n", "p")
            try:
                await api.request("get", PODS, path, timeout_seconds=timeout_seconds)
            except ClusterError as error:
                raise error from None
            finally:
                assert len(observed) == 1, "each request is tried once, and counted"
            return observed

    return asyncio.run(main())


def answering(status: int, message: str = "because", **headers: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        body = {"kind": "Status", "code": status, "message": message}
        return web.json_response(body, status=status, headers=headers)

    return handler


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, InvalidError),
        (401, ForbiddenError),
        (403, ForbiddenError),
        (404, MissingError),
        (409, ConflictError),
        (422, InvalidError),
        (429, ThrottledError),
        (500, UnavailableError),
        (503, UnavailableError),
        (504, UnavailableError),
        (418, ClusterError),
    ],
)
def test_each_refusal_is_an_error_of_its_own(status: int, expected: type[ClusterError]) -> None:
    with pytest.raises(ClusterError, match="because") as caught:
        ask(answering(status))
    assert type(caught.value) is expected
    assert caught.value.status == status


def test_a_server_that_asks_for_patience_says_for_how_long() -> None:
    with pytest.raises(ThrottledError) as caught:
        ask(answering(429, **{"Retry-After": "7"}))
    assert caught.value.retry_after == 7.0


def test_a_patience_that_is_no_number_is_a_second() -> None:
    with pytest.raises(ThrottledError) as caught:
        ask(answering(429, **{"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}))
    assert caught.value.retry_after == 1.0


def test_an_answer_that_is_no_status_is_quoted() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=502, text="<html>bad gateway</html>")

    with pytest.raises(UnavailableError, match="bad gateway"):
        ask(handler)


def test_a_request_that_hangs_is_given_up() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    with pytest.raises(UnansweredError, match=r"get .*: no answer in time") as caught:
        ask(handler, timeout_seconds=0.05)
    assert caught.value.status is None


def test_a_connection_that_breaks_is_no_answer() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def main() -> None:
        async with serving(handler) as (api, observed):
            with pytest.raises(UnansweredError):
                await api.request("apply", PODS, PODS.path("n", "p"), body={"a": 1})
            assert observed == [("apply", "Pod", 0)]

    asyncio.run(main())


def test_requests_are_counted_with_their_status() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({})

    assert ask(handler) == [("get", "Pod", 200)]


def test_a_list_whose_token_expires_is_asked_anew_in_one_piece() -> None:
    limits: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        limits.append(request.query.get("limit"))
        if request.query.get("continue"):
            return await answering(410)(request)
        more = {"continue": "token"} if "limit" in request.query else {}
        metadata: dict[str, Any] = {"resourceVersion": "9", **more}
        item = {"metadata": {"name": "p"}}
        return web.Response(
            text=json.dumps({"metadata": metadata, "items": [item]}),
            content_type="application/json",
        )

    async def main() -> None:
        async with serving(handler) as (api, _):
            pages: list[Any] = []
            version = await api.list(PODS, None, pages.append)
            named = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
            assert pages == [[named], [named]], "the page before, and the whole"
            assert version == "9"

    asyncio.run(main())
    assert limits == [str(PAGE), str(PAGE), None]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(
            PODS.path("n"), {"metadata": {"resourceVersion": "9"}, "items": []}, id="a kind watched"
        ),
        pytest.param(
            "/api/v1/namespaces",
            {"metadata": {"resourceVersion": "9", "continue": "more"}, "items": [1]},
            id="another kind",
        ),
    ],
)
def test_the_watches_own_lists_bring_a_version_and_no_objects(path: str, expected: Any) -> None:
    async def handler(_request: web.Request) -> web.Response:
        metadata = {"resourceVersion": "9", "continue": "more"}
        return web.json_response({"metadata": metadata, "items": [1]})

    async def main() -> None:
        async with (
            serving(handler) as (api, _),
            await api.session(aiohttp.TraceConfig()) as session,
            session.get(f"{api.host}{path}") as answer,
        ):
            assert expected == await answer.json()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PODS.path(None), "/api/v1/pods"),
        (PODS.path("n", "p", "log"), "/api/v1/namespaces/n/pods/p/log"),
        (
            AGENT.path("n", "a", "status"),
            "/apis/dlagent.io/v1alpha1/namespaces/n/dlagents/a/status",
        ),
    ],
)
def test_paths_are_those_of_the_api(path: str, expected: str) -> None:
    assert path == expected


def test_all_children_are_selected_by_label_and_agents_are_not() -> None:
    selectors = {info.kind: info.selector for info in WATCHED}
    assert selectors.pop("DLAgent") is None
    assert set(selectors.values()) == {"app.kubernetes.io/managed-by=dlagent-operator"}
