"""Puts the operator together and runs it: the one place that knows all the parts.

`dlagent operator` calls `run`; the pod of the chart does so too.
"""

import asyncio
import logging
import os
import signal
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import aiohttp

from dlagent import handlers
from dlagent.adapters.api import Api, MissingError, connect
from dlagent.adapters.batch_statistics import TritonStatistics
from dlagent.adapters.cluster import Cluster
from dlagent.adapters.inference import TritonInference
from dlagent.adapters.kinds import AGENT, BY_KIND, WATCHED
from dlagent.adapters.lease import LeaseObject
from dlagent.adapters.prometheus import Prometheus
from dlagent.api.names import NAME_LABEL
from dlagent.domain.scaling.situation import to_json
from dlagent.domain.status.errors import ClusterError
from dlagent.domain.sweep.unused import SweepReport
from dlagent.reconcile.agent import AgentReconciler
from dlagent.reconcile.ports import Key, Object
from dlagent.reconcile.routing import keys_for
from dlagent.reconcile.scaling import Scaler
from dlagent.reconcile.sweep import Sweeper
from dlagent.runtime import logging as operator_logging
from dlagent.runtime.core import Core
from dlagent.runtime.lease import LeaderLease, LeaseLostError, lead
from dlagent.runtime.listing import Feed, WatchTrace
from dlagent.runtime.metrics import Metrics
from dlagent.runtime.server import Server
from dlagent.runtime.settings import Settings

log = logging.getLogger(__name__)

EXIT_LEASE_LOST = 3
CRD_RETRY_SECONDS = 2.0
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


async def run(
    settings: Settings,
    kubeconfig: Path | None = None,
    leader_elect: bool = False,
    namespaces: list[str] | None = None,
) -> None:
    """Run the operator until SIGTERM or SIGINT.

    `namespaces` restricts what it looks at and goes before the settings'. Where the lease is lost
    the process ends at once, with exit code 3. What else ends it is raised.
    """
    operator_logging.configure(settings.logging)
    metrics = Metrics()
    api = Api(await connect(kubeconfig), metrics.requested)
    operator = _Operator(settings, api, metrics, namespaces or settings.watch.namespaces)
    where = settings.server
    server = Server(metrics, operator.not_ready, operator.explain, where.host, where.port)
    port = await server.start()
    log.info("probes and metrics are served on port %d", port)
    try:
        await operator.run(leader_elect)
    except Exception:
        log.critical("the operator ends by an error", exc_info=True)
        raise
    finally:
        await server.stop()
        await api.close()
    log.info("stopped")


class SystemClock:
    """The machine's clock, for `reconcile.ports.Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class _Operator:
    """The parts of one process, wired to each other."""

    def __init__(
        self, settings: Settings, api: Api, metrics: Metrics, namespaces: list[str]
    ) -> None:
        self._settings = settings
        self._api = api
        self._metrics = metrics
        self._namespaces = namespaces
        self._stop = asyncio.Event()
        self._leading = False
        clock = SystemClock()
        where: list[str] | list[None] = namespaces or [None]
        feeds = [Feed(info.kind, namespace) for info in WATCHED for namespace in where]
        self._core: Core[Key] = Core(
            cache_label=NAME_LABEL,
            feeds=feeds,
            list_objects=lambda kind, namespace, page: api.list(BY_KIND[kind], namespace, page),
            keys_for=lambda kind, obj: keys_for(kind, obj, self._core.cache),
            all_keys=lambda: [Key(*key) for key in self._core.cache.keys(AGENT.kind)],
            reconcile=self._reconcile,
            workers=settings.concurrency.workers,
            resync_seconds=settings.resync_seconds,
            tick=self._tick,
            tick_seconds=settings.scaling.tick_seconds,
            metrics=metrics,
        )
        cluster = Cluster(api, self._written, clock.now)
        self._prometheus = Prometheus(settings.prometheus, namespaces)
        self._statistics = TritonStatistics()
        self._scaler = Scaler(
            self._core.cache,
            self._prometheus,
            self._statistics,
            clock,
            settings,
            self._core.wake,
            metrics.decided,
        )
        currency = settings.prices.currency if settings.prices is not None else None
        metrics.observe_agents(self._scaler.figures, currency)
        self._reconciler = AgentReconciler(
            self._core.cache, cluster, cluster, TritonInference(), self._scaler, clock, settings
        )
        self._sweeper = Sweeper(self._core.cache, cluster, clock, settings, self._swept)
        self._trace = WatchTrace(
            {BY_KIND[feed.kind].path(feed.namespace): feed for feed in feeds},
            self._core.lister.want,
        )

    def not_ready(self) -> str | None:
        """Why this process is not ready; a standby always is."""
        if not self._leading:
            return None
        missing = self._core.lister.missing()
        return f"waiting for the first list of {', '.join(missing)}" if missing else None

    def explain(self, namespace: str, name: str) -> bytes | None:
        """What the scaler knows of an agent, as JSON; None where it has not looked at it."""
        found = self._scaler.explain(Key(namespace, name))
        return None if found is None else to_json(found)

    async def run(self, leader_elect: bool) -> None:
        """Until a signal, or until a part fails, which is raised."""
        _on_signals(self._stop.set)
        if leader_elect:
            working = asyncio.create_task(lead(self._lease(), self._work, _end_process))
        else:
            working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not self._leading:  # a standby has nothing to end in order
            working.cancel()
        try:
            await working
        except asyncio.CancelledError:
            log.info("stopped while standing by")
        finally:
            stopping.cancel()

    async def _work(self) -> None:
        self._leading = True
        self._metrics.leader.set(1)
        await self._wait_for_crd()
        try:
            await self._core.run(self._watch, self._stop)
        finally:
            await self._prometheus.close()
            await self._statistics.close()

    async def _tick(self) -> None:
        await self._scaler.tick()
        await self._sweeper.tick()

    def _swept(self, report: SweepReport | None) -> None:
        if report is None:
            self._metrics.sweep_failed()
        else:
            self._metrics.swept(report.removed_count, report.freed_bytes)

    async def _reconcile(self, key: Key) -> float | None:
        agent = self._core.cache.get(AGENT.kind, *key) or {}
        serving = agent.get("status", {}).get("serving", {})
        operator_logging.set_revision(serving.get("revision"))
        return await self._reconciler.reconcile(key)

    async def _watch(self, stop: asyncio.Event) -> None:
        started = asyncio.Event()

        async def take_signals_back() -> None:
            await started.wait()
            _on_signals(self._stop.set)

        signals = asyncio.create_task(take_signals_back())
        try:
            await handlers.watch(self._core.saw, self._login, self._namespaces, started, stop)
        finally:
            signals.cancel()

    async def _login(self) -> tuple[str, aiohttp.ClientSession]:
        return self._api.host, await self._api.session(self._trace.config())

    async def _wait_for_crd(self) -> None:
        """Until DLAgents are served; kopf looks for them only once."""
        namespace = self._namespaces[0] if self._namespaces else None
        told = ""
        while not self._stop.is_set():
            try:
                await self._api.json("list", AGENT, AGENT.path(namespace), query={"limit": "1"})
            except MissingError:
                reason = "the CustomResourceDefinition of DLAgents is not installed"
            except ClusterError as error:
                reason = str(error)
            else:
                return
            if reason != told:
                log.warning("waiting: %s", reason)
                told = reason
            await asyncio.sleep(CRD_RETRY_SECONDS)

    def _written(self, kind: str, obj: Object) -> None:
        """The cache sees our own writes at once; but an Event of the watch may be there first."""
        self._core.cache.upsert(kind, obj)

    def _lease(self) -> LeaderLease:
        host = os.environ.get("POD_NAME") or os.uname().nodename
        return LeaderLease(
            LeaseObject(self._api, _own_namespace(), self._settings.lease.name),
            f"{host}_{uuid.uuid4().hex[:8]}",
            self._settings.lease,
            time.monotonic,
            SystemClock().now,
        )


def _own_namespace() -> str:
    """Where the Lease is: the pod's namespace, "default" outside a cluster."""
    if named := os.environ.get("POD_NAMESPACE"):
        return named
    try:
        return NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        return "default"


def _on_signals(stop: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def _end_process(error: LeaseLostError) -> NoReturn:
    """At once and without clean-up: each further write could be one beside another leader's."""
    log.critical("the lease is lost, this process ends: %s", error)
    logging.shutdown()
    os._exit(EXIT_LEASE_LOST)
