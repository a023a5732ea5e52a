"""The last seen state of each object that the operator watches.

Fed by handlers (events of the watches), by `listing` (complete lists, which prune what is gone)
and by the writer (answers to writes, so that the next reconcile sees its own). Read by the
reconcilers through `reconcile.ports.ClusterReader`. Order among these sources is by resourceVersion
(comparable numbers since Kubernetes 1.35, and in all earlier releases with etcd).

Objects are trimmed: no managedFields, no kubectl annotation, and of a Pod's spec the nodeName only.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
Objects = list[Object]
Names = list[tuple[str, str]]  # namespace and name
Listener = Callable[[str, Object], None]

_UNREAD_ANNOTATIONS = ("kubectl.kubernetes.io/last-applied-configuration",)
_UNREAD_METADATA = ("managedFields", "selfLink")


@dataclass
class _Kind:
    """Objects of one kind by namespace and name, and the index of their label."""

    objects: dict[str, dict[str, Object]] = field(default_factory=dict)
    labelled: dict[tuple[str, str], set[str]] = field(default_factory=dict)


class Snapshot:
    """What the cache knew of a kind when a list was asked for, and what was deleted since."""

    def __init__(self, kind: str, namespace: str | None, known: Names) -> None:
        self.kind = kind
        self.namespace = namespace
        self.known = known
        self.deleted: dict[tuple[str, str], int] = {}


class Cache:
    """Objects by kind, namespace and name. Readers must not change what they are given.

    `listener(kind, object)` is called after each change with the object as it is now, or as it was
    last where it was deleted; not where an event brought nothing new.
    """

    def __init__(self, index_label: str, listener: Listener) -> None:
        self._index_label = index_label
        self._listener = listener
        self._kinds: dict[str, _Kind] = {}
        self._snapshots: list[Snapshot] = []

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        return self._kind(kind).objects.get(namespace, {}).get(name)

    def list(self, kind: str, namespace: str, labels: Mapping[str, str]) -> Objects:
        """All objects of the namespace that carry all of `labels`, ordered by name."""
        known = self._kind(kind)
        in_namespace = known.objects.get(namespace, {})
        value = labels.get(self._index_label)
        names = in_namespace if value is None else known.labelled.get((namespace, value), ())
        found = (in_namespace[name] for name in sorted(names))
        return [obj for obj in found if _labels(obj).items() >= labels.items()]

    def keys(self, kind: str) -> Names:
        """Namespace and name of all objects of the kind."""
        return [
            (namespace, name)
            for namespace, objects in self._kind(kind).objects.items()
            for name in objects
        ]

    def count(self, kind: str) -> int:
        return sum(len(objects) for objects in self._kind(kind).objects.values())

    def upsert(self, kind: str, obj: Object) -> None:
        """Note an object as seen; one that is older than what is known changes nothing."""
        namespace, name = _key(obj)
        known = self.get(kind, namespace, name)
        version = _version(obj)
        if known is not None and _version(known) >= version:
            return
        if any(
            snapshot.kind == kind and snapshot.deleted.get((namespace, name), -1) >= version
            for snapshot in self._snapshots
        ):
            return
        trimmed = trim(kind, obj)
        self._store(kind, trimmed)
        self._listener(kind, trimmed)

    def delete(self, kind: str, obj: Object) -> None:
        """Note an object as gone; one that was made anew since under its name stays."""
        namespace, name = _key(obj)
        version = _version(obj)
        for snapshot in self._snapshots:
            if snapshot.kind == kind:
                snapshot.deleted[namespace, name] = version
        known = self.get(kind, namespace, name)
        if known is None:
            return
        if _version(known) > version and _uid(known) != _uid(obj):
            return
        self._drop(kind, namespace, name)
        self._listener(kind, known)

    def begin_list(self, kind: str, namespace: str | None) -> Snapshot:
        """Call before a list is asked of the apiserver; `end_list` must follow. None: all."""
        known = [key for key in self.keys(kind) if namespace in (None, key[0])]
        snapshot = Snapshot(kind, namespace, known)
        self._snapshots.append(snapshot)
        return snapshot

    def end_list(self, snapshot: Snapshot, objects: Objects | None, version: str) -> int:
        """Take over a complete list of resourceVersion `version`; None where it failed.

        Returns how many objects were known though they are gone: deletions that the watch missed.
        An object that changed after the list was made is left alone.
        """
        ghosts = 0
        if objects is not None:
            for obj in objects:
                self.upsert(snapshot.kind, obj)
            listed = {_key(obj) for obj in objects}
            for namespace, name in snapshot.known:
                known = self.get(snapshot.kind, namespace, name)
                gone = known is not None and (namespace, name) not in listed
                if gone and known is not None and _version(known) <= int(version):
                    self._drop(snapshot.kind, namespace, name)
                    self._listener(snapshot.kind, known)
                    ghosts += 1
        self._snapshots.remove(snapshot)
        return ghosts

    def _kind(self, kind: str) -> _Kind:
        return self._kinds.setdefault(kind, _Kind())

    def _store(self, kind: str, obj: Object) -> None:
        namespace, name = _key(obj)
        self._drop(kind, namespace, name)
        known = self._kind(kind)
        known.objects.setdefault(namespace, {})[name] = obj
        value = _labels(obj).get(self._index_label)
        if value is not None:
            known.labelled.setdefault((namespace, value), set()).add(name)

    def _drop(self, kind: str, namespace: str, name: str) -> None:
        known = self._kind(kind)
        in_namespace = known.objects.get(namespace, {})
        obj = in_namespace.pop(name, None)
        if obj is None:
            return
        if not in_namespace:
            del known.objects[namespace]
        value = _labels(obj).get(self._index_label)
        if value is not None:
            names = known.labelled[namespace, value]
            names.discard(name)
            if not names:
                del known.labelled[namespace, value]


def trim(kind: str, obj: Object) -> Object:
    """A copy without what no reader needs; equal strings are one in memory."""
    kept = dict(obj)
    metadata = {k: v for k, v in obj["metadata"].items() if k not in _UNREAD_METADATA}
    if "annotations" in metadata:
        annotations = metadata["annotations"].items()
        metadata["annotations"] = {k: v for k, v in annotations if k not in _UNREAD_ANNOTATIONS}
    kept["metadata"] = metadata
    if kind == "Pod" and "spec" in kept:
        kept["spec"] = {k: v for k, v in kept["spec"].items() if k == "nodeName"}
    compacted: Object = _compact(kept)
    return compacted


def _compact(value: Any) -> Any:
    if isinstance(value, dict):
        return {sys.intern(key): _compact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_compact(item) for item in value]
    return sys.intern(value) if type(value) is str else value


def _key(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata["namespace"], metadata["name"]


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _uid(obj: Object) -> str:
    return str(obj["metadata"]["uid"])


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}
