"""/metrics, /healthz, /readyz and /explain/NAMESPACE/NAME on one port.

Healthy means that the event loop turns: the answer itself shows it. Ready is what main says; a
standby is always ready, or no roll-out of the operator could ever end. What /explain answers is
for `dlagent explain`.
"""

from collections.abc import Callable

from aiohttp import web

from dlagent.runtime.metrics import Metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Server:
    """Serves until `stop`. `not_ready()` says why the operator is not ready, None: it is.

    `explain(namespace, name)` is JSON of what the scaler knows of an agent, None: nothing.
    """

    def __init__(
        self,
        metrics: Metrics,
        not_ready: Callable[[], str | None],
        explain: Callable[[str, str], bytes | None],
        host: str,
        port: int,
    ) -> None:
        self._metrics = metrics
        self._not_ready = not_ready
        self._explain = explain
        self._host = host
        self._port = port
        app = web.Application()
        app.router.add_get("/metrics", self._serve_metrics)
        app.router.add_get("/healthz", self._serve_health)
        app.router.add_get("/readyz", self._serve_readiness)
        app.router.add_get("/explain/{namespace}/{name}", self._serve_explanation)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=0
        )

    async def start(self) -> int:
        """Listen; returns the port, which differs from the one asked for where that was 0.

        Raises:
            OSError: the port is taken.
        """
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _serve_metrics(self, _request: web.Request) -> web.Response:
        return _closing(
            web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})
        )

    async def _serve_health(self, _request: web.Request) -> web.Response:
        return _closing(web.Response(text="ok"))

    async def _serve_readiness(self, _request: web.Request) -> web.Response:
        reason = self._not_ready()
        return _closing(web.Response(status=503 if reason else 200, text=reason or "ok"))

    async def _serve_explanation(self, request: web.Request) -> web.Response:
        found = self._explain(request.match_info["namespace"], request.match_info["name"])
        if found is None:
            return _closing(web.Response(status=404, text="this process has not looked at it"))
        return _closing(web.Response(body=found, content_type="application/json"))


def _closing(response: web.Response) -> web.Response:
    """No idle connection is kept: each is a task that kopf would wait for when it stops."""
    response.force_close()
    return response
