"""The artifact store in an object store, through fsspec; see `dlagent.adapters.store`.

There is no rename, and no two objects change at once. So the files of a publication lie in a folder
of their own, named by the digest of its manifest, and the manifest, which is put last, is what
makes them the artifact:

    <url>/artifacts/<key>/manifest.json
    <url>/artifacts/<key>/<digest of that manifest>/model/1/model.onnx ...
    <url>/artifacts/<key>/used             its age is when a build last found the artifact

Files of two builds of one key never mix: another content is another manifest, and so another
folder. A manifest that was changed by one byte names a folder that is not there. Which of two
builds wins is decided by a conditional put (only if there is none), where the store has it; where
it has not, the later one replaces the earlier, each whole. What is left by builds that died or lost
has no manifest, and is swept when it is old. In each service an object is whole or is not there.
"""

import contextlib
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dlagent.adapters.object_services import SERVICES, Service, client
from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    Publication,
    checked,
    parse_table,
    verify_files,
)
from dlagent.domain.artifact.layout import (
    ARTIFACTS,
    MANIFEST,
    FileEntry,
    StoredArtifact,
    artifact_path,
)

_USED = "used"
_READ_BYTES = 8 << 20
_DIGEST_CHARACTERS = 32


@dataclass
class _Listed:
    """The objects under one key. Times are seconds since the epoch, that of the newest object."""

    has_manifest: bool = False
    used_at: float = 0.0
    size_bytes: int = 0
    folders: dict[str, float] = field(default_factory=dict)  # of publications, and how young

    def add(self, path: str, modified: float, size_bytes: int) -> None:
        """One object; `path` is relative to the key."""
        self.used_at = max(self.used_at, modified)
        self.size_bytes += size_bytes
        folder, slash, _ = path.partition("/")
        if slash:
            self.folders[folder] = max(self.folders.get(folder, 0.0), modified)
        self.has_manifest |= path == MANIFEST


class ObjectStore:
    """The store under `root` (bucket and prefix) of a service's filesystem; see `ArtifactStore`.

    The filesystem must not cache its listings.
    """

    def __init__(self, filesystem: Any, root: str, service: Service) -> None:
        self._files = filesystem
        self._root = root.rstrip("/")
        self._service = service

    @classmethod
    def at(cls, url: str) -> "ObjectStore":
        """The store at a URL, with the credentials of the environment.

        In a pod those of the store have names that begin with STORE_PREFIX, so that they and a
        source's, which have the usual names, do not take each other's place. Where there is none
        of these, the usual names count.

        Raises:
            OSError: of another scheme, or its library is not installed.
        """
        scheme, _, root = url.partition("://")
        if scheme not in SERVICES:
            known = ", ".join(f"{name}://" for name in SERVICES)
            raise OSError(
                f"{url} is no store: give a folder, or a URL that begins with one of {known}"
            )
        try:
            with _requests(url):
                filesystem = client(scheme, os.environ)
        except ImportError as error:
            raise OSError(f"{url} needs pip install '.[build]': {error}") from error
        return cls(filesystem, root, SERVICES[scheme])

    def manifest(self, key: str) -> bytes:
        try:
            return self._get(self._manifest_path(key))
        except FileNotFoundError as error:
            raise ArtifactMissingError(f"the store has no artifact {key}") from error

    def table(self, key: str) -> dict[str, FileEntry]:
        return parse_table(self.manifest(key), key)

    def verify(self, key: str) -> None:
        verify_files(self, key)

    def verified_chunks(self, key: str, path: str, entry: FileEntry) -> Iterator[bytes]:
        folder = self._folder(key, self.manifest(key))
        return checked(path, entry, self._chunks(f"{folder}/{path}"))

    def publish(self, key: str, files: Mapping[str, bytes]) -> Publication:
        manifest = files[MANIFEST]
        folder = self._folder(key, manifest)
        for path, content in sorted(files.items()):
            if path != MANIFEST:
                self._put(f"{folder}/{path}", content)
        for path, content in files.items():
            if path != MANIFEST and self._get(f"{folder}/{path}") != content:
                raise ArtifactCorruptError(f"{path} was not kept as it was written")
        with contextlib.suppress(FileExistsError):
            self._put(self._manifest_path(key), manifest, mode="create")
        # An answer may be lost, and a put tried again finds its own manifest: look who won.
        if self._get(self._manifest_path(key)) == manifest:
            return Publication.PUBLISHED
        with contextlib.suppress(OSError):  # a sweep removes it, if this does not
            self._remove(folder)
        return Publication.ALREADY_THERE

    def set_aside(self, key: str) -> None:
        """A manifest that another build has put meanwhile stays, but for the moment between two
        requests; what then finds nothing builds again."""
        try:
            manifest = self.manifest(key)
            verify_files(self, key)
        except ArtifactMissingError:
            return
        except ArtifactCorruptError:
            if self.manifest(key) == manifest:
                self._take_away(key, manifest)

    def touch(self, key: str) -> None:
        self.manifest(key)
        self._put(f"{self._key_path(key)}/{_USED}", b"")

    def artifacts(self) -> list[StoredArtifact]:
        return [
            StoredArtifact(key, listed.used_at, listed.size_bytes)
            for key, listed in sorted(self._list().items())
            if listed.has_manifest
        ]

    def remove(self, key: str, now: float, older_than_seconds: float) -> bool:
        """Its age is looked at once more just before; see docs/explanation/artifact-store.md for
        a build that finds the artifact between that and the removal."""
        listed = self._list(key).get(key)
        if listed is None or not listed.has_manifest:
            return False
        manifest = self.manifest(key)
        if now - listed.used_at <= older_than_seconds:
            return False
        self._take_away(key, manifest)
        return True

    def sweep_staging(self, now: float, older_than_seconds: float, dry_run: bool = False) -> int:
        """Folders that no manifest names are what builds left that died or lost."""
        left = [
            path
            for key, listed in self._list().items()
            for path in self._left(key, listed, now - older_than_seconds)
        ]
        for path in left if not dry_run else []:
            self._remove(path)
        return len(left)

    def _left(self, key: str, listed: _Listed, before: float) -> list[str]:
        """What of a key nobody will need: objects put before a moment that no manifest names."""
        if not listed.has_manifest and listed.used_at < before:
            return [self._key_path(key)]
        stale = {folder for folder, modified in listed.folders.items() if modified < before}
        # One folder beside a manifest is its own: to look would cost a request for each key.
        if not stale or (listed.has_manifest and len(listed.folders) == 1):
            return []
        return [f"{self._key_path(key)}/{folder}" for folder in sorted(stale - {self._named(key)})]

    def _named(self, key: str) -> str | None:
        try:
            return _folder_name(self.manifest(key))
        except ArtifactMissingError:
            return None

    def _key_path(self, key: str) -> str:
        return f"{self._root}/{artifact_path(key)}"

    def _manifest_path(self, key: str) -> str:
        return f"{self._key_path(key)}/{MANIFEST}"

    def _folder(self, key: str, manifest: bytes) -> str:
        return f"{self._key_path(key)}/{_folder_name(manifest)}"

    def _take_away(self, key: str, manifest: bytes) -> None:
        """The manifest first: what is left without it can never be loaded.

        Other folders under the key stay: a build may be filling one of them.
        """
        for path in (self._manifest_path(key), f"{self._key_path(key)}/{_USED}"):
            with contextlib.suppress(FileNotFoundError), _requests(path):
                self._files.rm_file(path)
        self._remove(self._folder(key, manifest))

    def _list(self, key: str | None = None) -> dict[str, _Listed]:
        top = f"{self._root}/{ARTIFACTS}"
        found: dict[str, _Listed] = defaultdict(_Listed)
        with _requests(top):
            below = self._files.find(f"{top}/{key}" if key else top, detail=True)
        for path, info in below.items():
            its_key, slash, inside = path.removeprefix(f"{top}/").partition("/")
            if slash:
                modified: datetime = info[self._service.modified]
                found[its_key].add(inside, modified.timestamp(), int(info["size"]))
        return found

    def _chunks(self, path: str) -> Iterator[bytes]:
        """Raises FileNotFoundError."""
        with _requests(path):
            size = int(self._files.info(path)["size"])
        for start in range(0, size, _READ_BYTES):
            with _requests(path):
                chunk = self._files.cat_file(path, start=start, end=min(size, start + _READ_BYTES))
            yield chunk

    def _get(self, path: str) -> bytes:
        """Raises FileNotFoundError."""
        with _requests(path):
            content: bytes = self._files.cat_file(path)
            return content

    def _put(self, path: str, content: bytes, mode: str = "overwrite") -> None:
        """Raises FileExistsError in mode "create"."""
        with _requests(path):
            self._files.pipe_file(path, content, mode=mode, **self._service.put_options)

    def _remove(self, folder: str) -> None:
        with contextlib.suppress(FileNotFoundError), _requests(folder):
            self._files.rm(folder, recursive=True)


def _folder_name(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:_DIGEST_CHARACTERS]


@contextlib.contextmanager
def _requests(what: str) -> Iterator[None]:
    """Whatever a store's library raises becomes the OSError that callers expect."""
    try:
        yield
    except (OSError, ImportError):
        raise
    except Exception as error:  # the libraries' errors have no common base
        raise OSError(f"{what}: {type(error).__name__}: {error}") from error
