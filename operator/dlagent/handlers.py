"""kopf's part: it watches, and hands each event on. It decides and writes nothing.

`watch` runs kopf for `main`. Children are selected by label on the server: the `labels=` of kopf's
decorators filter in this process only, `settings.watching.label_selectors` reaches the API.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import kopf
from kopf._core.reactor import inventory  # of kopf.operator's parameter `memories`

from dlagent.adapters.kinds import WATCHED, KindInfo

Object = dict[str, Any]
Sink = Callable[[str, bool, Object], None]  # kind, whether it is gone, the object

_FIRST_BACKOFF = 1.0
_LAST_BACKOFF = 5.0  # also how long after an outage a watch may still be away


async def watch(
    sink: Sink,
    login: Callable[[], Awaitable[tuple[str, aiohttp.ClientSession]]],
    namespaces: list[str],
    started: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Watch until `stop`. `login` gives the apiserver's address and a session that kopf may close.

    An error of kopf's is raised: the process must end, for it watches no more.
    """
    registry = kopf.OperatorRegistry()
    _register(registry, sink, login)
    await kopf.operator(
        registry=registry,
        settings=_settings(),
        standalone=True,
        memories=_NoMemories(),
        clusterwide=not namespaces,
        namespaces=namespaces,
        ready_flag=started,
        stop_flag=stop,
    )


def _register(
    registry: kopf.OperatorRegistry,
    sink: Sink,
    login: Callable[[], Awaitable[tuple[str, aiohttp.ClientSession]]],
) -> None:
    @kopf.on.login(registry=registry)
    async def _login(**_: Any) -> kopf.AiohttpSession:
        server, session = await login()
        return kopf.AiohttpSession(server=server, aiohttp_session=session)

    for info in WATCHED:
        _on_event(registry, info, sink)


def _on_event(registry: kopf.OperatorRegistry, info: KindInfo, sink: Sink) -> None:
    @kopf.on.event(
        group=info.group,
        version=info.version,
        plural=info.plural,
        id=info.plural,
        registry=registry,
    )
    async def _event(event: kopf.RawEvent, **_: Any) -> None:
        sink(info.kind, event["type"] == "DELETED", dict(event["object"]))


class _NoMemories(inventory.ResourceMemories):
    """kopf remembers a kilobyte of each object that changed, for handlers that ours are not."""

    async def recall(self, raw_body: kopf.RawBody, **options: Any) -> inventory.ResourceMemory:
        return await super().recall(raw_body, **options | {"ephemeral": True})


class _Patience:
    """Delays for kopf's requests, in seconds, without end: an apiserver may be away for long."""

    def __iter__(self) -> Iterator[float]:
        delay = _FIRST_BACKOFF
        while True:
            yield delay
            delay = min(_LAST_BACKOFF, delay * 2)


class _NoDiff(kopf.DiffBaseStorage):
    """kopf copies each object for a diff that no handler here asks for: give it nothing to do."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = None  # main ends the process itself
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = _Patience()
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 1  # of lists that only tell where to watch from
    settings.watching.initial_streaming = False  # runtime.listing needs to see a list
    settings.queueing.idle_timeout = 1
    settings.persistence.diffbase_storage = _NoDiff()
    for info in WATCHED:
        if info.selector is not None:
            key = (info.group, info.version, info.plural)
            settings.watching.label_selectors[key] = info.selector
    return settings
