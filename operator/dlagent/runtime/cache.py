"""The last seen state of each object that the operator watches.

Fed by handlers (events of the watches), by `listing` (complete lists, which prune what is gone)
and by the writer (answers to writes, so that the next reconcile sees its own). Read by the
reconcilers through `reconcile.ports.ClusterReader`. Order among these sources is by resourceVersion
(comparable numbers since Kubernetes 1.35, and in all earlier releases with etcd).

Objects are trimmed (no managedFields, no kubectl annotation, of a Pod's spec the nodeName only)
and kept packed: an agent with its children takes 40 KB as dicts, packed less than 4. Each read
unpacks a copy, which takes some 30 microseconds.
"""

import json
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Object = dict[str, Any]
Objects = list[Object]
Names = list[tuple[str, str]]  # namespace and name
Listener = Callable[[str, Object], None]

_UNREAD_ANNOTATIONS = ("kubectl.kubernetes.io/last-applied-configuration",)
_UNREAD_METADATA = ("managedFields", "selfLink")
# Of zlib: a window of 8 KiB, as large as objects are, and little scratch memory for each call.
_WINDOW_BITS, _MEMORY_LEVEL = 13, 6
# Deletions that are remembered: more than come while the answer to a write is on its way.
_DELETED = 4096


class _Packed(NamedTuple):
    """An object, and what is asked of it without unpacking it. `label` is the index label's."""

    version: int
    uid: str
    label: str | None
    data: bytes
    example: bytes  # that it was packed with

    def unpack(self) -> Object:
        unpacker = zlib.decompressobj(zdict=self.example)
        found: Object = json.loads(unpacker.decompress(self.data))
        return found


@dataclass
class _Kind:
    """Objects of one kind by namespace and name, and the index of their label.

    `example` is one of them as JSON: what others share with it is not stored again. A longer one
    takes its place, since objects grow: the first that is seen of an agent has no status yet.
    """

    objects: dict[str, dict[str, _Packed]] = field(default_factory=dict)
    labelled: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    example: bytes = b""

    def find(self, namespace: str, name: str) -> _Packed | None:
        return self.objects.get(namespace, {}).get(name)

    def pack(self, obj: Object, label: str | None) -> _Packed:
        text = json.dumps(obj, separators=(",", ":")).encode()
        if len(self.example) * 5 / 4 < len(text):
            self.example = text[-(2**_WINDOW_BITS) :]
        packer = zlib.compressobj(wbits=_WINDOW_BITS, memLevel=_MEMORY_LEVEL, zdict=self.example)
        data = packer.compress(text) + packer.flush()
        return _Packed(_version(obj), _uid(obj), label, data, self.example)


class Snapshot:
    """What the cache knew of a kind when a list was asked for, and what was listed since."""

    def __init__(self, kind: str, namespace: str | None, known: Names) -> None:
        self.kind = kind
        self.namespace = namespace
        self.known = known
        self.listed: set[tuple[str, str]] = set()


class Cache:
    """Objects by kind, namespace and name. Readers are given copies.

    `listener(kind, object)` is called after each change with the object as it is now, or as it was
    last where it was deleted; not where an event brought nothing new.
    """

    def __init__(self, index_label: str, listener: Listener) -> None:
        self._index_label = index_label
        self._listener = listener
        self._kinds: dict[str, _Kind] = {}
        self._snapshots: list[Snapshot] = []
        # The version of what was deleted lately, and while a list is read: that list, or the answer
        # to a write before it, may still have it.
        self._deleted: dict[tuple[str, str, str], int] = {}

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        known = self._kind(kind)
        packed = known.find(namespace, name)
        return packed.unpack() if packed is not None else None

    def list(self, kind: str, namespace: str, labels: Mapping[str, str]) -> Objects:
        """All objects of the namespace that carry all of `labels`, ordered by name."""
        known = self._kind(kind)
        in_namespace = known.objects.get(namespace, {})
        value = labels.get(self._index_label)
        names = in_namespace if value is None else known.labelled.get((namespace, value), ())
        found = (in_namespace[name].unpack() for name in sorted(names))
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
        known = self._kind(kind).find(namespace, name)
        version = _version(obj)
        if known is not None and known.version >= version:
            return
        if self._deleted.get((kind, namespace, name), -1) >= version:
            return
        trimmed = trim(kind, obj)
        self._store(kind, trimmed)
        self._listener(kind, trimmed)

    def delete(self, kind: str, obj: Object) -> None:
        """Note an object as gone; one that was made anew since under its name stays."""
        namespace, name = _key(obj)
        version = _version(obj)
        self._remember_deleted(kind, namespace, name, version)
        known = self._kind(kind).find(namespace, name)
        if known is None:
            return
        if known.version > version and known.uid != _uid(obj):
            return
        self._forget(kind, namespace, name, known)

    def begin_list(self, kind: str, namespace: str | None) -> Snapshot:
        """Call before a list is asked of the apiserver; `end_list` must follow. None: all."""
        known = [key for key in self.keys(kind) if namespace in (None, key[0])]
        snapshot = Snapshot(kind, namespace, known)
        self._snapshots.append(snapshot)
        return snapshot

    def add_page(self, snapshot: Snapshot, objects: Objects) -> None:
        """Take over a part of the list."""
        for obj in objects:
            self.upsert(snapshot.kind, obj)
            snapshot.listed.add(_key(obj))

    def end_list(self, snapshot: Snapshot, version: str | None) -> int:
        """The list is complete, at that resourceVersion; None where it failed.

        Returns how many objects were known though they are gone: deletions that the watch missed.
        An object that changed after the list was made is left alone.
        """
        ghosts = 0
        if version is not None:
            for namespace, name in snapshot.known:
                known = self._kind(snapshot.kind).find(namespace, name)
                gone = known is not None and (namespace, name) not in snapshot.listed
                if gone and known is not None and known.version <= int(version):
                    self._forget(snapshot.kind, namespace, name, known)
                    ghosts += 1
        self._snapshots.remove(snapshot)
        return ghosts

    def _kind(self, kind: str) -> _Kind:
        return self._kinds.setdefault(kind, _Kind())

    def _store(self, kind: str, obj: Object) -> None:
        namespace, name = _key(obj)
        self._drop(kind, namespace, name)
        known = self._kind(kind)
        label = _labels(obj).get(self._index_label)
        if label is not None:
            label = sys.intern(label)
            names = known.labelled.get((namespace, label), ())
            known.labelled[namespace, label] = (*names, name)
        known.objects.setdefault(namespace, {})[name] = known.pack(obj, label)

    def _remember_deleted(self, kind: str, namespace: str, name: str, version: int) -> None:
        key = (kind, namespace, name)
        self._deleted.pop(key, None)  # so that the dict is in the order of time
        self._deleted[key] = version
        while len(self._deleted) > _DELETED and not self._snapshots:
            del self._deleted[next(iter(self._deleted))]

    def _forget(self, kind: str, namespace: str, name: str, packed: _Packed) -> None:
        """Drop an object and tell of it as it was."""
        self._drop(kind, namespace, name)
        self._listener(kind, packed.unpack())

    def _drop(self, kind: str, namespace: str, name: str) -> None:
        known = self._kind(kind)
        in_namespace = known.objects.get(namespace, {})
        packed = in_namespace.pop(name, None)
        if packed is None:
            return
        if not in_namespace:
            del known.objects[namespace]
        if packed.label is not None:
            key = (namespace, packed.label)
            known.labelled[key] = tuple(n for n in known.labelled[key] if n != name)
            if not known.labelled[key]:
                del known.labelled[key]


def trim(kind: str, obj: Object) -> Object:
    """A copy without what no reader needs."""
    kept = dict(obj)
    metadata = {k: v for k, v in obj["metadata"].items() if k not in _UNREAD_METADATA}
    if "annotations" in metadata:
        annotations = metadata["annotations"].items()
        metadata["annotations"] = {k: v for k, v in annotations if k not in _UNREAD_ANNOTATIONS}
    kept["metadata"] = metadata
    if kind == "Pod" and "spec" in kept:
        kept["spec"] = {k: v for k, v in kept["spec"].items() if k == "nodeName"}
    return kept


def _key(obj: Object) -> tuple[str, str]:
    """Interned, as an index label is: an agent's eight objects share its names."""
    metadata = obj["metadata"]
    return sys.intern(metadata["namespace"]), sys.intern(metadata["name"])


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _uid(obj: Object) -> str:
    return str(obj["metadata"]["uid"])


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}
