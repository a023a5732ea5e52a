"""The operator's writes, and what it reads past its cache.

Fits `reconcile.ports.ClusterWriter` and `BuildLogs` by shape. Each method may raise a
`ClusterError`, of the classes in `api`, but where it says otherwise.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dlagent.adapters.api import APPLY, MERGE, Api, ConflictError, MissingError, Object
from dlagent.adapters.kinds import AGENT, BY_KIND, EVENT, KindInfo
from dlagent.api.names import FIELD_MANAGER, SCALER_FIELD_MANAGER
from dlagent.domain.status.errors import ClusterError

log = logging.getLogger(__name__)

LOG_LINES = 20
LOG_BYTES = 65536  # counted from the first of these lines: too few would cut the last one off
EVENT_BYTES = 1024
EVENT_GAP = timedelta(minutes=1)
EVENTS_REMEMBERED = 4096


class Cluster:
    """Writes to the cluster; `written(kind, object)` hears what the apiserver stored."""

    def __init__(
        self, api: Api, written: Callable[[str, Object], None], now: Callable[[], datetime]
    ) -> None:
        self._api = api
        self._written = written
        self._events = _Events(api, now)

    async def apply(self, obj: Object) -> Object:
        """Server-side apply, forced, as manager dlagent-operator."""
        return await self._apply(obj, FIELD_MANAGER)

    async def read(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object as it is now, past the cache, which has only what carries our labels."""
        info = BY_KIND[kind]
        try:
            return await self._api.json("get", info, info.path(namespace, name))
        except MissingError:
            return None

    async def create(self, obj: Object) -> None:
        """Create it, as manager dlagent-operator; what has the name already is left as it is."""
        info, namespace, _ = _address(obj)
        query = {"fieldManager": FIELD_MANAGER}
        try:
            stored = await self._api.json(
                "create", info, info.path(namespace), query=query, body=obj
            )
        except ConflictError:
            return
        log.info("created %s %s", info.kind, obj["metadata"]["name"])
        self._written(info.kind, stored)

    async def apply_status(self, obj: Object) -> Object:
        """Server-side apply of a complete status; a conflict if its version is not current."""
        return await self._apply(obj, FIELD_MANAGER, sub="status")

    async def scale(self, partial: Object) -> Object:
        """Server-side apply, forced, as manager dlagent-scaler, unless it is so already.

        Reads the live Deployment first: the cache may be behind. One that is not of the uid in
        `partial` is a conflict; should it change after the read, the apiserver refuses the uid.
        """
        info, namespace, name = _address(partial)
        live = await self._api.json("get", info, info.path(namespace, name))
        if live["metadata"]["uid"] != partial["metadata"]["uid"]:
            raise ConflictError(409, f"Deployment {name} has been made anew")
        if _contains(live, partial):
            self._written(info.kind, live)
            return live
        return await self._apply(partial, SCALER_FIELD_MANAGER)

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        """Delete in the background the object of that uid; gone already is no error."""
        info = BY_KIND[kind]
        options: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        try:
            await self._api.request("delete", info, info.path(namespace, name), body=options)
        except (MissingError, ConflictError):  # a conflict: the name is another object's by now
            return
        log.info("deleted %s %s", kind, name)

    async def emit(self, agent: Object, type_: str, reason: str, message: str) -> None:
        """Record an Event about the DLAgent. Raises nothing: an event is never worth a failure."""
        log.info("%s: %s", reason, message)
        try:
            await self._events.emit(agent, type_, reason, message)
        except ClusterError as error:
            log.warning("event %s not recorded: %s", reason, error)

    async def last_lines(self, namespace: str, pod: str, container: str) -> list[str]:
        """The last lines that a container of a pod wrote; none where they cannot be read."""
        info = BY_KIND["Pod"]
        query = {
            "container": container,
            "tailLines": str(LOG_LINES),
            "limitBytes": str(LOG_BYTES),
        }
        try:
            content = await self._api.request(
                "logs", info, info.path(namespace, pod, "log"), query=query
            )
        except ClusterError:
            return []
        return content.decode("utf-8", "replace").splitlines()

    async def _apply(self, obj: Object, manager: str, sub: str | None = None) -> Object:
        info, namespace, name = _address(obj)
        stored = await self._api.json(
            "apply",
            info,
            info.path(namespace, name, sub),
            query={"fieldManager": manager, "force": "true"},
            body=obj,
            content_type=APPLY,
        )
        if sub is None:
            log.info("applied %s %s", info.kind, name)
        self._written(info.kind, stored)
        return stored


@dataclass(slots=True)
class _Recorded:
    """An Event that this process has written."""

    count: int
    written: datetime
    unwritten: int = 0


class _Events:
    """Core v1 Events, one a (agent, reason, message), counted up instead of written anew.

    The name is a hash of what it says, so that a restarted operator goes on counting. The same
    event is written at most once a minute; what came between is added to the next.
    """

    def __init__(self, api: Api, now: Callable[[], datetime]) -> None:
        self._api = api
        self._now = now
        self._recorded: dict[str, _Recorded] = {}

    async def emit(self, agent: Object, type_: str, reason: str, message: str) -> None:
        message = message.encode()[:EVENT_BYTES].decode("utf-8", "ignore")
        metadata = agent["metadata"]
        namespace = metadata["namespace"]
        digest = hashlib.sha256(f"{metadata['uid']}\n{reason}\n{message}".encode()).hexdigest()[:16]
        name = f"{metadata['name']}.{digest}"
        now = self._now()
        known = self._recorded.get(name)
        if known is not None and now - known.written < EVENT_GAP:
            known.unwritten += 1
            return
        if known is None:
            event = _event(agent, name, type_, reason, message, _timestamp(now))
            try:
                await self._api.request("create", EVENT, EVENT.path(namespace), body=event)
                self._remember(name, _Recorded(1, now))
                return
            except ConflictError:  # there already: written before this process began
                found = await self._api.json("get", EVENT, EVENT.path(namespace, name))
                known = _Recorded(int(found.get("count") or 1), now)
        count = known.count + known.unwritten + 1
        patch: Object = {"count": count, "lastTimestamp": _timestamp(now)}
        try:
            await self._api.request(
                "patch", EVENT, EVENT.path(namespace, name), body=patch, content_type=MERGE
            )
        except MissingError:  # expired: Events live for an hour
            self._recorded.pop(name, None)
            event = _event(agent, name, type_, reason, message, _timestamp(now))
            await self._api.request("create", EVENT, EVENT.path(namespace), body=event)
            count = 1
        self._remember(name, _Recorded(count, now))

    def _remember(self, name: str, recorded: _Recorded) -> None:
        self._recorded.pop(name, None)
        self._recorded[name] = recorded
        while len(self._recorded) > EVENTS_REMEMBERED:
            self._recorded.pop(next(iter(self._recorded)))


def _event(
    agent: Object, name: str, type_: str, reason: str, message: str, timestamp: str
) -> Object:
    metadata = agent["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": AGENT.api_version,
            "kind": AGENT.kind,
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
        "type": type_,
        "reason": reason,
        "message": message,
        "count": 1,
        "firstTimestamp": timestamp,
        "lastTimestamp": timestamp,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "reportingInstance": FIELD_MANAGER,
    }


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _address(obj: Object) -> tuple[KindInfo, str, str]:
    metadata = obj["metadata"]
    return BY_KIND[obj["kind"]], metadata["namespace"], metadata["name"]


def _contains(live: Any, wanted: Any) -> bool:
    """True where all that `wanted` says is so in `live`; lists must be equal."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(
            name in live and _contains(live[name], value) for name, value in wanted.items()
        )
    return bool(live == wanted)
