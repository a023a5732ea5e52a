"""What the store must do in each service: the tests of s3://, gs:// and az:// alike.

A module of a service defines the fixture `server` and classes that inherit these. P4 in an object
store: nothing half-written can be loaded.
"""

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from dlagent.adapters.object_services import SERVICES
from dlagent.adapters.object_store import ObjectStore
from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    Publication,
    open_store,
)
from tests.unit.adapters.faulty_server import BUCKET, FaultyServer
from tests.unit.artifacts import CONFIG, KEY, NETWORK, artifact

FUTURE = 1e11  # so far that all is old
DAY = 86_400.0


def objects(store: ObjectStore) -> dict[str, str]:
    """Paths of the objects below the key, by their path in the artifact where they have one."""
    top = f"{store._root}/artifacts/{KEY}/"
    paths = [path.removeprefix(top) for path in store._files.find(top)]
    return {path.partition("/")[2] or path: f"{top}{path}" for path in paths}


def prepare_damaged(store: ObjectStore) -> None:
    store.publish(KEY, artifact())
    store._files.pipe_file(objects(store)[CONFIG], b"")


class Ignorant:
    """A client whose server does not know of conditions: an older put is replaced."""

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem

    def __getattr__(self, name: str) -> Any:
        return getattr(self._filesystem, name)

    def pipe_file(self, path: str, content: bytes, mode: str, **options: Any) -> None:
        self._filesystem.pipe_file(path, content, **options)


def publish_in_child(
    server: FaultyServer, prefix: str, number: int, barrier: Any, told: Any
) -> None:
    store = server.store(prefix)
    barrier.wait()
    told.put(store.publish(KEY, artifact(bytes([number]) * 100)).name)


class Stores:
    """The stores of a server."""

    @pytest.fixture(scope="class")
    @classmethod
    def filesystem(cls, server: FaultyServer) -> Any:
        return server.filesystem()

    @pytest.fixture
    def fresh(self, server: FaultyServer, filesystem: Any) -> Callable[[], ObjectStore]:
        """Makes stores that are empty, one after another."""
        server.calm()
        numbers = itertools.count()
        test = os.urandom(8).hex()
        service = SERVICES[server.scheme]
        return lambda: ObjectStore(filesystem, f"{BUCKET}/{test}/{next(numbers)}", service)

    @pytest.fixture
    def store(self, fresh: Callable[[], ObjectStore]) -> ObjectStore:
        return fresh()


class ObjectStoreTests(Stores):
    def test_what_was_published_is_read_back(self, store: ObjectStore) -> None:
        assert Publication.PUBLISHED == store.publish(KEY, artifact())

        store.verify(KEY)
        table = store.table(KEY)
        assert artifact()["manifest.json"] == store.manifest(KEY)
        for path, entry in table.items():
            assert artifact()[path] == b"".join(store.verified_chunks(KEY, path, entry))
        (found,) = store.artifacts()
        assert (KEY, sum(map(len, artifact().values()))) == (found.key, found.size_bytes)
        assert 60 > time.time() - found.used_at

    def test_a_file_larger_than_one_read_and_an_empty_one(
        self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dlagent.adapters.object_store._READ_BYTES", 7)

        store.publish(KEY, artifact(b"network" * 3 + b"x", {"model/empty": b""}))

        store.verify(KEY)

    def test_without_a_manifest_there_is_no_artifact(self, store: ObjectStore) -> None:
        store.publish(KEY, artifact())
        store._files.rm_file(objects(store)["manifest.json"])

        with pytest.raises(ArtifactMissingError, match="no artifact"):
            store.verify(KEY)
        assert [] == store.artifacts()

    def test_of_two_builds_of_a_key_the_first_wins_and_nothing_of_the_other_is_left(
        self,
        store: ObjectStore,
    ) -> None:
        store.publish(KEY, artifact(b"first"))

        assert Publication.ALREADY_THERE == store.publish(KEY, artifact(b"second"))

        assert b"first" == store._files.cat_file(objects(store)[NETWORK])
        assert len(artifact()) == len(store._files.find(store._root))

    def test_the_same_artifact_published_twice_stays(self, store: ObjectStore) -> None:
        store.publish(KEY, artifact())

        assert Publication.PUBLISHED == store.publish(KEY, artifact())

        store.verify(KEY)

    def test_where_the_server_knows_no_conditions_the_later_build_replaces_the_earlier_whole(
        self,
        store: ObjectStore,
    ) -> None:
        store.publish(KEY, artifact(b"first"))
        later = ObjectStore(Ignorant(store._files), store._root, store._service)

        assert Publication.PUBLISHED == later.publish(KEY, artifact(b"second"))

        store.verify(KEY)
        assert artifact(b"second")["manifest.json"] == store.manifest(KEY)
        assert 1 == store.sweep_staging(FUTURE, DAY), "what the first one put"
        store.verify(KEY)

    def test_processes_that_publish_a_key_at_once_publish_it_once(
        self, server: FaultyServer, store: ObjectStore
    ) -> None:
        context = multiprocessing.get_context("fork")
        barrier, told = context.Barrier(3), context.Queue()
        prefix = store._root.removeprefix(f"{BUCKET}/")
        children = [
            context.Process(target=publish_in_child, args=(server, prefix, number, barrier, told))
            for number in range(3)
        ]
        for child in children:
            child.start()
        outcomes = sorted(told.get(timeout=60) for _ in children)
        for child in children:
            child.join(30)

        assert ["ALREADY_THERE", "ALREADY_THERE", "PUBLISHED"] == outcomes
        store.verify(KEY)
        assert len(artifact()) == len(store._files.find(store._root))

    @pytest.mark.parametrize("path", sorted(artifact()))
    def test_a_byte_flipped_or_cut_anywhere_is_found_and_built_again(
        self, store: ObjectStore, path: str
    ) -> None:
        files = artifact(b"network")
        store.publish(KEY, files)
        name, whole = objects(store)[path], files[path]
        for place in range(0, len(whole), 7):
            flipped = whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :]
            for damage in (flipped, whole[:place]):
                store._files.pipe_file(name, damage)
                with pytest.raises(ArtifactCorruptError):
                    store.verify(KEY)
        store.set_aside(KEY)
        with pytest.raises(ArtifactMissingError):
            store.verify(KEY)
        assert Publication.PUBLISHED == store.publish(KEY, files)
        store.verify(KEY)

    def test_a_store_that_does_not_keep_what_was_put_publishes_nothing(
        self, store: ObjectStore
    ) -> None:
        class Forgetful(Ignorant):
            def pipe_file(self, path: str, content: bytes, mode: str, **options: Any) -> None:
                super().pipe_file(path, content[:-1], mode, **options)

        with pytest.raises(ArtifactCorruptError, match="not kept"):
            ObjectStore(Forgetful(store._files), store._root, store._service).publish(
                KEY, artifact()
            )

        with pytest.raises(ArtifactMissingError):
            store.verify(KEY)

    def test_setting_aside_spares_what_another_build_put_meanwhile(
        self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepare_damaged(store)
        verify = "dlagent.adapters.object_store.verify_files"

        def meanwhile(_store: ObjectStore, key: str) -> None:
            store._files.rm(f"{store._root}/artifacts/{key}", recursive=True)
            store.publish(key, artifact(b"repaired"))
            raise ArtifactCorruptError("as it was a moment ago")

        with monkeypatch.context() as patch:
            patch.setattr(verify, meanwhile)
            store.set_aside(KEY)

        store.verify(KEY)

    def test_what_is_young_is_kept_and_a_touch_makes_young(self, store: ObjectStore) -> None:
        store.publish(KEY, artifact())
        put = store.artifacts()[0].used_at

        assert not store.remove(KEY, put + 5, older_than_seconds=10)
        store.touch(KEY)
        assert put <= store.artifacts()[0].used_at
        assert store.remove(KEY, FUTURE, older_than_seconds=10)

        assert {} == objects(store)
        assert not store.remove(KEY, FUTURE, older_than_seconds=10)
        with pytest.raises(ArtifactMissingError):
            store.touch(KEY)

    def test_what_a_running_build_puts_is_not_swept(self, store: ObjectStore) -> None:
        store.publish(KEY, artifact())
        store._files.rm_file(objects(store)["manifest.json"])

        assert 0 == store.sweep_staging(time.time(), DAY)
        assert {NETWORK, CONFIG, "report.json"} == objects(store).keys()
        assert 1 == store.sweep_staging(FUTURE, DAY)
        assert {} == objects(store)

    def test_a_url_opens_the_store_with_the_environments_credentials(
        self, server: FaultyServer, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.publish(KEY, artifact())
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)

        open_store(f"{server.scheme}://{store._root}/").verify(KEY)

    def test_a_pods_store_takes_no_credentials_but_its_own(
        self, server: FaultyServer, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.publish(KEY, artifact())
        for name, value in server.of_a_source.items():
            monkeypatch.setenv(name, value)
        for name, value in server.environment.items():
            monkeypatch.setenv(f"DLAGENT_STORE_{name}", value)

        open_store(f"{server.scheme}://{store._root}").verify(KEY)

    def test_a_store_that_does_not_answer_is_an_error_of_its_own(
        self, server: FaultyServer
    ) -> None:
        server.calm()
        server.before = lambda _number: True

        with pytest.raises(OSError, match=r"."):
            server.store().verify(KEY)

        server.calm()
