"""P4 in an object store: nothing half-written can be loaded, whichever request fails or is the
last one of a build that is killed. The server is moto's, the client s3fs."""

import itertools
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from dlagent.adapters.object_store import ObjectStore, _Listed, _modified
from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    FolderStore,
    Publication,
    open_store,
)
from tests.unit.adapters.faulty_s3 import BUCKET, ENVIRONMENT, FaultyS3
from tests.unit.artifacts import CONFIG, KEY, NETWORK, artifact

FUTURE = 1e11  # so far that all is old
DAY = 86_400.0


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyS3]:
    found = FaultyS3()
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def filesystem(server: FaultyS3) -> Any:
    return server.filesystem()


@pytest.fixture
def fresh(server: FaultyS3, filesystem: Any) -> Callable[[], ObjectStore]:
    """Makes stores that are empty, one after another."""
    server.calm()
    numbers = itertools.count()
    test = os.urandom(8).hex()
    return lambda: ObjectStore(filesystem, f"{BUCKET}/{test}/{next(numbers)}")


@pytest.fixture
def store(fresh: Callable[[], ObjectStore]) -> ObjectStore:
    return fresh()


def objects(store: ObjectStore) -> dict[str, str]:
    """Paths of the objects below the key, by their path in the artifact where they have one."""
    top = f"{store._root}/artifacts/{KEY}/"
    paths = [path.removeprefix(top) for path in store._files.find(top)]
    return {path.partition("/")[2] or path: f"{top}{path}" for path in paths}


def is_whole(store: ObjectStore) -> bool:
    """What a loader sees: everything, verified; else it refuses to load anything."""
    try:
        store.verify(KEY)
    except (ArtifactMissingError, ArtifactCorruptError):
        return False
    return True


def test_what_was_published_is_read_back(store: ObjectStore) -> None:
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
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dlagent.adapters.object_store._READ_BYTES", 7)

    store.publish(KEY, artifact(b"network" * 3 + b"x", {"model/empty": b""}))

    store.verify(KEY)


def test_without_a_manifest_there_is_no_artifact(store: ObjectStore) -> None:
    store.publish(KEY, artifact())
    store._files.rm_file(objects(store)["manifest.json"])

    with pytest.raises(ArtifactMissingError, match="no artifact"):
        store.verify(KEY)
    assert [] == store.artifacts()


def test_of_two_builds_of_a_key_the_first_wins_and_nothing_of_the_other_is_left(
    store: ObjectStore,
) -> None:
    store.publish(KEY, artifact(b"first"))

    assert Publication.ALREADY_THERE == store.publish(KEY, artifact(b"second"))

    assert b"first" == store._files.cat_file(objects(store)[NETWORK])
    assert len(artifact()) == len(store._files.find(store._root))


def test_the_same_artifact_published_twice_stays(store: ObjectStore) -> None:
    store.publish(KEY, artifact())

    assert Publication.PUBLISHED == store.publish(KEY, artifact())

    store.verify(KEY)


class Ignorant:
    """A client whose server does not know of conditions: an older put is replaced."""

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem

    def __getattr__(self, name: str) -> Any:
        return getattr(self._filesystem, name)

    def pipe_file(self, path: str, content: bytes, mode: str, chunksize: int) -> None:
        self._filesystem.pipe_file(path, content, chunksize=chunksize)


def test_where_the_server_knows_no_conditions_the_later_build_replaces_the_earlier_whole(
    store: ObjectStore,
) -> None:
    store.publish(KEY, artifact(b"first"))
    later = ObjectStore(Ignorant(store._files), store._root)

    assert Publication.PUBLISHED == later.publish(KEY, artifact(b"second"))

    store.verify(KEY)
    assert artifact(b"second")["manifest.json"] == store.manifest(KEY)
    assert 1 == store.sweep_staging(FUTURE, DAY), "what the first one put"
    store.verify(KEY)


def publish_in_child(server: FaultyS3, prefix: str, number: int, barrier: Any, told: Any) -> None:
    store = server.store(prefix)
    barrier.wait()
    told.put(store.publish(KEY, artifact(bytes([number]) * 100)).name)


def test_processes_that_publish_a_key_at_once_publish_it_once(
    server: FaultyS3, store: ObjectStore
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


def prepare_published(store: ObjectStore) -> None:
    store.publish(KEY, artifact())


def prepare_damaged(store: ObjectStore) -> None:
    store.publish(KEY, artifact())
    store._files.pipe_file(objects(store)[CONFIG], b"")


def prepare_left(store: ObjectStore) -> None:
    store.publish(KEY, artifact(b"dead"))
    store._files.rm_file(objects(store)["manifest.json"])
    store.publish(KEY, artifact())


ACTIONS = [
    pytest.param(
        lambda _: None,
        lambda store: store.publish(KEY, artifact()),
        {True, False},
        id="publishing: whole once the manifest is there, else nothing",
    ),
    pytest.param(
        prepare_published,
        lambda store: store.publish(KEY, artifact(b"other")),
        {True},
        id="publishing what is there already: it stays",
    ),
    pytest.param(
        prepare_damaged,
        lambda store: store.set_aside(KEY),
        {False},
        id="setting aside what is damaged: it never looks whole",
    ),
    pytest.param(
        prepare_published,
        lambda store: store.set_aside(KEY),
        {True},
        id="setting aside what another build repaired: it stays",
    ),
    pytest.param(
        prepare_published,
        lambda store: store.remove(KEY, FUTURE, DAY),
        {True, False},
        id="removing what is old: whole or gone",
    ),
    pytest.param(
        prepare_published,
        lambda store: store.remove(KEY, 0, DAY),
        {True},
        id="not removing what is young: it stays",
    ),
    pytest.param(
        prepare_published, lambda store: store.touch(KEY), {True}, id="touching: it stays"
    ),
    pytest.param(
        prepare_left,
        lambda store: store.sweep_staging(FUTURE, DAY),
        {True},
        id="sweeping what the dead left: it stays",
    ),
]
Prepare = Callable[[ObjectStore], None]
Act = Callable[[ObjectStore], object]


def count_requests(server: FaultyS3, store: ObjectStore, prepare: Prepare, act: Act) -> int:
    prepare(store)
    server.calm()
    act(store)
    return len(server.requests)


def assert_the_next_run_completes(store: ObjectStore) -> None:
    if not is_whole(store):
        store.set_aside(KEY)
        assert Publication.PUBLISHED == store.publish(KEY, artifact())
    store.verify(KEY)
    store.sweep_staging(FUTURE, DAY)
    store.verify(KEY)
    assert objects(store).keys() - {"used"} == artifact().keys(), "nothing else is left"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("prepare", "act", "outcomes"), [ACTIONS[0], ACTIONS[2], ACTIONS[4]])
def test_a_server_that_fails_from_any_request_on_leaves_all_or_nothing(
    server: FaultyS3,
    fresh: Callable[[], ObjectStore],
    prepare: Prepare,
    act: Act,
    outcomes: set[bool],
    when: str,
) -> None:
    seen = set()
    for at in range(count_requests(server, fresh(), prepare, act)):
        store = fresh()
        server.calm()
        prepare(store)
        server.calm()
        setattr(server, when, lambda number, at=at: number >= at)

        with pytest.raises(OSError, match=r"."):
            act(store)

        server.calm()
        seen.add(is_whole(store))
        assert_the_next_run_completes(store)
    assert outcomes == seen


def act_in_child(server: FaultyS3, prefix: str, act: Act) -> None:
    act(server.store(prefix))


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("prepare", "act", "outcomes"), ACTIONS)
def test_a_kill_at_any_request_leaves_all_or_nothing_and_the_next_run_completes(
    server: FaultyS3,
    fresh: Callable[[], ObjectStore],
    prepare: Prepare,
    act: Act,
    outcomes: set[bool],
    when: str,
) -> None:
    seen = set()
    for at in range(count_requests(server, fresh(), prepare, act)):
        store = fresh()
        server.calm()
        prepare(store)
        server.calm()
        prefix = store._root.removeprefix(f"{BUCKET}/")
        child = multiprocessing.get_context("fork").Process(
            target=act_in_child, args=(server, prefix, act)
        )

        def kill(number: int, at: int = at, child: Any = child) -> bool:
            if number == at:
                os.kill(child.pid, signal.SIGKILL)
            return number >= at

        setattr(server, when, kill)
        child.start()
        child.join(60)
        assert -signal.SIGKILL == child.exitcode

        server.calm()
        seen.add(is_whole(store))
        assert_the_next_run_completes(store)
    assert outcomes == seen


@pytest.mark.parametrize("path", sorted(artifact()))
def test_a_byte_flipped_or_cut_anywhere_is_found_and_built_again(
    store: ObjectStore, path: str
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


def test_a_store_that_does_not_keep_what_was_put_publishes_nothing(store: ObjectStore) -> None:
    class Forgetful(Ignorant):
        def pipe_file(self, path: str, content: bytes, mode: str, chunksize: int) -> None:
            super().pipe_file(path, content[:-1], mode, chunksize)

    with pytest.raises(ArtifactCorruptError, match="not kept"):
        ObjectStore(Forgetful(store._files), store._root).publish(KEY, artifact())

    with pytest.raises(ArtifactMissingError):
        store.verify(KEY)


def test_setting_aside_spares_what_another_build_put_meanwhile(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
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


def test_what_is_young_is_kept_and_a_touch_makes_young(store: ObjectStore) -> None:
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


def test_the_age_of_what_is_used_is_that_of_its_newest_object() -> None:
    listed = _Listed()
    listed.add("digest/model/config.pbtxt", 100, 5)
    listed.add("manifest.json", 101, 6)
    listed.add("used", 500, 0)

    assert (True, 500, 11) == (listed.has_manifest, listed.used_at, listed.size_bytes)
    assert {"digest": 100} == listed.folders
    assert 86_400.0 == _modified({"LastModified": datetime(1970, 1, 2, tzinfo=UTC)})


def test_what_a_running_build_puts_is_not_swept(store: ObjectStore) -> None:
    store.publish(KEY, artifact())
    store._files.rm_file(objects(store)["manifest.json"])

    assert 0 == store.sweep_staging(time.time(), DAY)
    assert {NETWORK, CONFIG, "report.json"} == objects(store).keys()
    assert 1 == store.sweep_staging(FUTURE, DAY)
    assert {} == objects(store)


def test_a_url_opens_the_store_with_the_environments_credentials(
    server: FaultyS3, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(KEY, artifact())
    for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": server.url}).items():
        monkeypatch.setenv(name, value)

    open_store(f"s3://{store._root}/").verify(KEY)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("ftp://host/path", "begins with s3://", id="a scheme that is none of a store"),
        pytest.param("file:///tmp", "begins with s3://", id="a folder in the clothes of a URL"),
    ],
)
def test_another_url_is_refused(url: str, said: str) -> None:
    with pytest.raises(OSError, match=said):
        open_store(url)


def test_a_store_that_does_not_answer_is_an_error_of_its_own(server: FaultyS3) -> None:
    server.calm()
    server.before = lambda _number: True

    with pytest.raises(OSError, match=r"."):
        server.store().verify(KEY)

    server.calm()


def test_a_folder_is_opened_by_its_path(tmp_path: Any) -> None:
    assert isinstance(open_store(str(tmp_path)), FolderStore)
