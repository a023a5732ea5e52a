"""The queue's workers, under a clock that only moves when told to."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlagent.runtime.queue import WorkQueue
from dlagent.runtime.schedule import Backoff


class FakeClock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def wait(self, event: asyncio.Event, seconds: float | None) -> None:
        due = float("inf") if seconds is None else self.time + seconds
        while not event.is_set() and self.time < due:  # noqa: ASYNC110  # time is no event
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        self.time += seconds
        await settle()


async def settle() -> None:
    """Let all tasks run until each waits for something again."""
    for _ in range(30):
        await asyncio.sleep(0)


class Observed:
    def __init__(self) -> None:
        self.waits: list[float] = []
        self.results: list[str] = []

    def started(self, waited_seconds: float) -> None:
        self.waits.append(waited_seconds)

    def finished(self, duration_seconds: float, result: str) -> None:
        self.results.append(result)


class Harness:
    """A queue whose reconciles run until the test ends them."""

    def __init__(self, workers: int = 2) -> None:
        self.clock = FakeClock()
        self.observed = Observed()
        self.begun: list[str] = []
        self.running: dict[str, asyncio.Future[float | None]] = {}
        self.queue: WorkQueue[str] = WorkQueue(
            self.reconcile,
            self.observed,
            workers=workers,
            clock=self.clock,
            random=lambda: 0.999,
            backoff=Backoff(base=1.0, cap=60.0),
        )

    async def reconcile(self, key: str) -> float | None:
        assert key not in self.running, f"two workers on {key}"
        self.begun.append(key)
        self.running[key] = asyncio.get_running_loop().create_future()
        try:
            return await self.running[key]
        finally:
            del self.running[key]

    async def succeed(self, key: str, again_after: float | None = None) -> None:
        self.running[key].set_result(again_after)
        await settle()

    async def fail(self, key: str, error: Exception) -> None:
        self.running[key].set_exception(error)
        await settle()

    async def add(self, key: str) -> None:
        self.queue.add(key)
        await settle()


def run(scenario: Callable[[Harness], Awaitable[None]], workers: int = 2) -> Harness:
    async def main() -> Harness:
        harness = Harness(workers)
        harness.queue.start()
        harness.queue.open()
        await scenario(harness)
        for future in harness.running.values():
            future.cancel()
        await harness.queue.stop(grace_seconds=0)
        return harness

    return asyncio.run(main())


def test_what_was_added_before_the_opening_runs_after_it() -> None:
    async def main() -> list[str]:
        harness = Harness()
        harness.queue.start()
        harness.queue.add("a")
        await settle()
        assert harness.begun == []
        harness.queue.open()
        await settle()
        await harness.succeed("a")
        await harness.queue.stop(grace_seconds=0)
        return harness.begun

    assert asyncio.run(main()) == ["a"]


def test_workers_bound_how_many_run_at_a_time() -> None:
    async def scenario(harness: Harness) -> None:
        for key in "abc":
            await harness.add(key)
        assert sorted(harness.running) == ["a", "b"]
        assert harness.queue.depth == 1
        await harness.succeed("a")
        assert sorted(harness.running) == ["b", "c"]

    run(scenario)


def test_a_key_comes_back_after_the_seconds_it_asked_for() -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add("a")
        await harness.succeed("a", again_after=30.0)
        await harness.clock.advance(29.0)
        assert harness.begun == ["a"]
        await harness.clock.advance(1.0)
        assert harness.begun == ["a", "a"]

    run(scenario)


def test_a_sooner_time_wakes_workers_that_wait_for_a_later_one() -> None:
    async def scenario(harness: Harness) -> None:
        harness.queue.add_after("later", 100.0)
        await settle()
        harness.queue.add_after("sooner", 5.0)
        await settle()
        await harness.clock.advance(5.0)
        assert harness.begun == ["sooner"]

    run(scenario)


def test_a_failure_is_tried_again_and_touches_no_other_key() -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add("sick")
        await harness.fail("sick", ValueError("boom"))
        await harness.add("well")
        assert harness.begun == ["sick", "well"]
        await harness.clock.advance(1.0)
        assert harness.begun == ["sick", "well", "sick"]

    harness = run(scenario, workers=1 + 1)
    assert harness.observed.results[0] == "error"


def test_an_error_that_asks_for_patience_gets_it() -> None:
    class ThrottledError(Exception):
        retry_after = 20.0

    async def scenario(harness: Harness) -> None:
        await harness.add("a")
        await harness.fail("a", ThrottledError())
        await harness.clock.advance(19.0)
        assert harness.begun == ["a"]
        await harness.clock.advance(1.0)
        assert harness.begun == ["a", "a"]

    run(scenario)


def test_a_reconcile_that_hangs_is_ended_and_counts_as_a_failure() -> None:
    async def main() -> Observed:
        observed = Observed()
        hung = asyncio.Event()

        async def hang(key: str) -> float | None:
            await hung.wait()
            return None

        queue: WorkQueue[str] = WorkQueue(
            hang,
            observed,
            workers=1,
            clock=FakeClock(),
            random=lambda: 0.0,
            timeout_seconds=0.0,
        )
        queue.add("a")
        queue.start()
        queue.open()
        await settle()
        await queue.stop(grace_seconds=0)
        return observed

    assert asyncio.run(main()).results == ["error"]


def test_stop_lets_what_runs_end_and_begins_nothing_new() -> None:
    async def main() -> Harness:
        harness = Harness(workers=1)
        harness.queue.start()
        harness.queue.open()
        await harness.add("a")
        await harness.add("b")
        stopping = asyncio.create_task(harness.queue.stop(grace_seconds=60))
        await settle()
        assert not stopping.done()
        await harness.succeed("a")
        await stopping
        return harness

    harness = asyncio.run(main())
    assert harness.begun == ["a"]
    assert harness.observed.results == ["success"]


def test_stop_cancels_what_outlives_its_grace() -> None:
    async def main() -> Harness:
        harness = Harness()
        harness.queue.start()
        harness.queue.open()
        await harness.add("a")
        await harness.queue.stop(grace_seconds=0)
        return harness

    assert asyncio.run(main()).observed.results == ["cancelled"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add_after", "succeed", "requeue", "fail", "advance"]),
        st.sampled_from(["a", "b", "c"]),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, workers=st.integers(1, 3))
def test_each_event_is_followed_by_a_run_that_began_after_it(
    steps: list[tuple[str, str]], workers: int
) -> None:
    """`Harness.reconcile` asserts that no key ever runs twice at a time."""

    async def scenario(harness: Harness) -> None:
        owed: dict[str, int] = {}  # key: how many runs had begun when its last event came

        async def step(action: str, key: str) -> None:
            if action == "add":
                owed[key] = harness.begun.count(key)
                await harness.add(key)
            elif action == "add_after":
                harness.queue.add_after(key, 2.0)
            elif action == "advance":
                await harness.clock.advance(1.0)
            elif key in harness.running:
                if action == "fail":
                    await harness.fail(key, ValueError())
                else:
                    await harness.succeed(key, 3.0 if action == "requeue" else None)

        for action, key in steps:
            await step(action, key)
        for _ in range(100):
            for key in list(harness.running):
                await harness.succeed(key)
            await harness.clock.advance(1.0)
        assert harness.running == {}
        for key, begun_before in owed.items():
            assert harness.begun.count(key) > begun_before

    run(scenario, workers)


@pytest.mark.parametrize("defect", [KeyError("x"), AssertionError(), RecursionError()])
def test_no_error_of_a_reconcile_ends_a_worker(defect: Exception) -> None:
    async def scenario(harness: Harness) -> None:
        await harness.add("a")
        await harness.fail("a", defect)
        await harness.add("b")
        assert "b" in harness.running

    run(scenario, workers=1)


def test_a_worker_that_ends_is_told_by_join() -> None:
    class Broken(Observed):
        def started(self, waited_seconds: float) -> None:
            raise RuntimeError("a defect of the queue itself")

    async def main() -> None:
        async def reconcile(key: str) -> float | None:
            return None

        queue: WorkQueue[str] = WorkQueue(
            reconcile, Broken(), workers=2, clock=FakeClock(), random=lambda: 0.0
        )
        queue.start()
        queue.open()
        queue.add("a")
        try:
            await queue.join()
        finally:
            await queue.stop(grace_seconds=0)

    with pytest.raises(RuntimeError, match="a defect of the queue itself"):
        asyncio.run(main())
