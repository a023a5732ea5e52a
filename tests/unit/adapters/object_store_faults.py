"""A server that fails, and a builder that is killed, at any request: for each service alike.

Whichever request fails or is the last one, nothing half-written can be loaded, and the next run
completes. See tests/unit/adapters/object_store_contract.py.
"""

import itertools
import multiprocessing
import signal
from collections.abc import Callable

import pytest

from dlagent.adapters.object_store import ObjectStore
from dlagent.adapters.store import ArtifactCorruptError, ArtifactMissingError, Publication
from tests.unit.adapters.faulty_server import BUCKET, FaultyServer
from tests.unit.adapters.object_store_contract import DAY, FUTURE, Stores, objects, prepare_damaged
from tests.unit.artifacts import KEY, artifact


def is_whole(store: ObjectStore) -> bool:
    """What a loader sees: everything, verified; else it refuses to load anything."""
    try:
        store.verify(KEY)
    except (ArtifactMissingError, ArtifactCorruptError):
        return False
    return True


def prepare_published(store: ObjectStore) -> None:
    store.publish(KEY, artifact())


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


# Tries the action with a fault at the numbered request; whether it came to harm.
Attempt = Callable[[int, ObjectStore], bool]


def assert_outcomes(
    outcomes: set[bool],
    server: FaultyServer,
    fresh: Callable[[], ObjectStore],
    prepare: Prepare,
    attempt: Attempt,
) -> None:
    """`outcomes` are all that is left after harm, over a fault at each request of an action.

    How many requests it makes is not known before: gcsfs asks for a file and a folder of one name
    at once, and one answer will do. So a fault may also be passed over.
    """
    harmed: set[bool] = set()
    unharmed: set[bool] = set()
    for at in itertools.count():
        store = fresh()
        server.calm()
        prepare(store)
        server.calm()
        found = harmed if attempt(at, store) else unharmed
        was_last = len(server.requests) <= at
        found.add(outcome(server, store))
        if was_last:
            break
    assert outcomes == harmed
    assert 1 == len(unharmed), "no fault that was passed over changed the outcome"


def fails(act: Act, store: ObjectStore) -> bool:
    try:
        act(store)
    except OSError:
        return True
    return False


def outcome(server: FaultyServer, store: ObjectStore) -> bool:
    """Whether what a fault has left is whole; the next run completes in any case."""
    server.calm()
    whole = is_whole(store)
    assert_the_next_run_completes(store)
    return whole


def assert_the_next_run_completes(store: ObjectStore) -> None:
    if not is_whole(store):
        store.set_aside(KEY)
        assert Publication.PUBLISHED == store.publish(KEY, artifact())
    store.verify(KEY)
    store.sweep_staging(FUTURE, DAY)
    store.verify(KEY)
    assert objects(store).keys() - {"used"} == artifact().keys(), "nothing else is left"


def act_in_child(server: FaultyServer, prefix: str, act: Act) -> None:
    act(server.store(prefix))


class FaultTests(Stores):
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize(("prepare", "act", "outcomes"), [ACTIONS[0], ACTIONS[2], ACTIONS[4]])
    def test_a_server_that_fails_from_any_request_on_leaves_all_or_nothing(
        self,
        server: FaultyServer,
        fresh: Callable[[], ObjectStore],
        prepare: Prepare,
        act: Act,
        outcomes: set[bool],
        when: str,
    ) -> None:
        def attempt(at: int, store: ObjectStore) -> bool:
            setattr(server, when, lambda number: number >= at)
            return fails(act, store)

        assert_outcomes(outcomes, server, fresh, prepare, attempt)

    @pytest.mark.slow
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize(("prepare", "act", "outcomes"), ACTIONS)
    def test_a_kill_at_any_request_leaves_all_or_nothing_and_the_next_run_completes(
        self,
        server: FaultyServer,
        fresh: Callable[[], ObjectStore],
        prepare: Prepare,
        act: Act,
        outcomes: set[bool],
        when: str,
    ) -> None:
        def attempt(at: int, store: ObjectStore) -> bool:
            prefix = store._root.removeprefix(f"{BUCKET}/")
            child = multiprocessing.get_context("fork").Process(
                target=act_in_child, args=(server, prefix, act)
            )

            def kill(number: int) -> bool:
                if number == at:
                    child.kill()
                return number >= at

            setattr(server, when, kill)
            child.start()
            child.join(60)
            assert child.exitcode in (0, -signal.SIGKILL)
            return child.exitcode != 0

        assert_outcomes(outcomes, server, fresh, prepare, attempt)
