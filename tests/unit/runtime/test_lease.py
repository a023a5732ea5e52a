"""The lease loop under a clock that only its sleeps and its calls move."""

import asyncio
import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from dlagent.runtime.lease import LeaderLease, LeaseLostError, lead
from dlagent.runtime.settings import LeaseSettings

SETTINGS = LeaseSettings(duration_seconds=15, renew_deadline_seconds=10, retry_period_seconds=2)
Object = dict[str, Any]


class World:
    """A Lease with optimistic locking, and the time."""

    def __init__(self) -> None:
        self.time = 100.0
        self.lease: Object | None = None
        self.version = 0
        self.broken: Callable[[], bool] = lambda: False
        self.calls = 0

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)

    async def read(self) -> Object | None:
        self._call()
        return copy.deepcopy(self.lease)

    async def write(self, lease: Object) -> Object:
        self._call()
        if lease["metadata"].get("resourceVersion") != (self.lease and str(self.version)):
            raise RuntimeError("409")
        self.version += 1
        self.lease = copy.deepcopy(lease)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.lease)

    def _call(self) -> None:
        self.calls += 1
        if self.broken():
            raise ConnectionRefusedError

    def held_by(self, holder: str, transitions: int = 3) -> None:
        self.version += 1
        self.lease = {
            "metadata": {"resourceVersion": str(self.version)},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": 15,
                "leaseTransitions": transitions,
            },
        }

    @property
    def holder(self) -> str:
        return str(self.lease["spec"]["holderIdentity"]) if self.lease else ""

    def candidate(self, identity: str = "me") -> LeaderLease:
        return LeaderLease(
            self,
            identity,
            SETTINGS,
            lambda: self.time,
            lambda: datetime(2026, 1, 1, 12, tzinfo=UTC),
            self.sleep,
        )


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # time moves by the sleeps of the code under test
        await asyncio.sleep(0)


def test_a_lease_that_is_not_there_is_made() -> None:
    world = World()
    asyncio.run(world.candidate().acquire())
    assert world.lease is not None
    assert world.lease["spec"] == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T12:00:00.000000Z",
        "renewTime": "2026-01-01T12:00:00.000000Z",
        "leaseTransitions": 0,
    }


def test_a_released_lease_is_taken_at_once() -> None:
    world = World()
    world.held_by("")
    asyncio.run(world.candidate().acquire())
    assert (world.holder, world.time) == ("me", 100.0)


def test_a_lease_of_another_is_taken_when_it_has_not_changed_for_its_duration() -> None:
    world = World()
    world.held_by("other")
    asyncio.run(world.candidate().acquire())
    assert world.holder == "me"
    assert world.time - 100.0 >= 15
    assert world.lease is not None
    assert world.lease["spec"]["leaseTransitions"] == 4


def test_a_lease_that_is_renewed_is_not_taken() -> None:
    world = World()
    world.held_by("other")

    async def main() -> None:
        task = asyncio.create_task(world.candidate().acquire())
        for _ in range(100):
            world.held_by("other")
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert world.time > 130
    assert world.holder == "other"


def test_a_renewal_is_one_write_without_a_read() -> None:
    world = World()

    async def main() -> None:
        lease = world.candidate()
        await lease.acquire()
        world.calls = 0
        holding = asyncio.create_task(lease.hold())
        await asyncio.sleep(0)
        await until(lambda: world.time >= 120)
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)

    asyncio.run(main())
    assert world.calls <= 11


def test_leadership_ends_at_the_deadline_after_the_last_confirmed_renewal() -> None:
    world = World()

    async def main() -> None:
        lease = world.candidate()
        await lease.acquire()
        world.broken = lambda: world.time >= 110
        with pytest.raises(LeaseLostError, match="for 10 s"):
            await lease.hold()

    asyncio.run(main())
    last_confirmed = 108.0
    assert last_confirmed + 10 <= world.time < last_confirmed + SETTINGS.duration_seconds


def test_a_fault_shorter_than_the_deadline_is_lived_through() -> None:
    world = World()

    async def main() -> None:
        lease = world.candidate()
        await lease.acquire()
        world.broken = lambda: 104 <= world.time < 109
        holding = asyncio.create_task(lease.hold())
        await until(lambda: world.time >= 200 or holding.done())
        assert not holding.done()
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)

    asyncio.run(main())


def test_leadership_ends_when_another_holds_the_lease() -> None:
    world = World()

    async def main() -> None:
        lease = world.candidate()
        await lease.acquire()
        world.held_by("usurper")
        with pytest.raises(LeaseLostError, match="usurper leads now"):
            await lease.hold()
        await lease.release()

    asyncio.run(main())
    assert world.holder == "usurper"


def test_a_write_that_happened_though_it_failed_does_not_lose_the_lease() -> None:
    world = World()

    async def main() -> None:
        lease = world.candidate()
        await lease.acquire()
        world.held_by("me")  # a renewal whose answer was lost
        holding = asyncio.create_task(lease.hold())
        await until(lambda: world.time >= 150 or holding.done())
        assert not holding.done()
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)

    asyncio.run(main())


def test_the_end_of_work_releases() -> None:
    world = World()

    async def work() -> None:
        assert world.holder == "me"

    async def main() -> None:
        await lead(world.candidate(), work, lambda error: None)

    asyncio.run(main())
    assert world.holder == ""


def test_an_error_of_work_releases_and_is_raised() -> None:
    world = World()

    async def work() -> None:
        raise ValueError("a defect")

    async def main() -> None:
        await lead(world.candidate(), work, lambda error: None)

    with pytest.raises(ValueError, match="a defect"):
        asyncio.run(main())
    assert world.holder == ""


def test_a_lost_lease_is_told_while_work_has_not_run_on() -> None:
    world = World()
    told: list[LeaseLostError] = []
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def lost(error: LeaseLostError) -> None:
        assert not ended.is_set(), "the process ends before work could clean up with a write"
        told.append(error)

    async def main() -> None:
        task = asyncio.create_task(lead(world.candidate(), work, lost))
        await until(lambda: world.holder == "me")
        world.held_by("usurper")
        with pytest.raises(LeaseLostError):
            await task

    asyncio.run(main())
    assert len(told) == 1


def test_releasing_never_raises() -> None:
    world = World()
    world.broken = lambda: True
    asyncio.run(world.candidate().release())
