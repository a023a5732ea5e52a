"""A Prometheus that errs: it passes questions on to the real one, and spoils answers if told to.

The operator is pointed at it by `scaled.quick_operator`.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import aiohttp
from aiohttp import web

_SLOW_SECONDS = 20.0  # longer than the operator waits


class Fault(Enum):
    """What is wrong with an answer."""

    NONE = "nothing"
    SLOW = "it comes after the operator has given up"
    EMPTY = "it has no series"
    NAN = "all values are NaN"
    GAP = "nothing was scraped since the fault began"


class FaultyPrometheus:
    """`set` takes effect with the next question."""

    def __init__(self, real_url: str) -> None:
        self._real_url = real_url
        self._fault, self._since = Fault.NONE, 0.0
        self.url = ""

    def set(self, fault: Fault) -> None:
        self._fault, self._since = fault, time.time()

    @contextmanager
    def serving(self) -> Iterator["FaultyPrometheus"]:
        """On a free port, in a thread of its own."""
        loop = asyncio.new_event_loop()
        runner = loop.run_until_complete(self._listen())
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.run_until_complete(runner.cleanup())
            loop.close()

    async def _listen(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/api/v1/query", self._query)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return runner

    async def _query(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        if self._fault is Fault.SLOW:
            await asyncio.sleep(_SLOW_SECONDS)
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{self._real_url}/api/v1/query", data=form) as answer,
            ):
                body, status = await answer.read(), answer.status
        except aiohttp.ClientError as error:
            raise web.HTTPBadGateway from error
        if status == 200:
            body = json.dumps(self._spoilt(json.loads(body))).encode()
        return web.Response(body=body, status=status, content_type="application/json")

    def _spoilt(self, answer: dict[str, Any]) -> dict[str, Any]:
        data = answer["data"]
        if self._fault is Fault.EMPTY:
            data["result"] = []
        for series in data["result"]:
            for name in ("value", "values"):
                if name in series:
                    series[name] = self._samples(series[name], single=name == "value")
        return answer

    def _samples(self, samples: Any, single: bool) -> Any:
        """One sample [time, text], or a list of such."""
        if self._fault is Fault.NAN:
            spoilt = [[at, "NaN"] for at, _ in ([samples] if single else samples)]
            return spoilt[0] if single else spoilt
        if self._fault is Fault.GAP and not single:
            return [sample for sample in samples if sample[0] < self._since]
        return samples
