"""Leadership on a real apiserver, with the line to it refused, hanging, and cut for one of two."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dlagent.adapters.api import Api, ConflictError, connect
from dlagent.adapters.kinds import LEASE
from dlagent.adapters.lease import LeaseObject
from dlagent.runtime.lease import LeaderLease, LeaseLostError, lead
from dlagent.runtime.settings import LeaseSettings

NAMESPACE = "default"
SETTINGS = LeaseSettings(duration_seconds=4, renew_deadline_seconds=3, retry_period_seconds=1)


class Line:
    """A TCP line to the apiserver that can hang (nothing passes) or refuse (nobody listens)."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def hang(self) -> None:
        self._flowing.clear()

    async def refuse(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.close()

    async def stop(self) -> None:
        self._flowing.set()
        await self.refuse()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection(*self._target)
            self._open.add(back)
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
            self._open.discard(back)
        self._open.discard(writer)
        self._tasks.discard(task)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._flowing.wait()
            sink.write(data)
            await sink.drain()
        sink.close()


class Candidate:
    """One operator process, as far as leadership goes, on a line of its own."""

    def __init__(self, line: Line, api: Api, name: str, identity: str) -> None:
        self.line = line
        self.api = api
        self.identity = identity
        self.lost: list[LeaseLostError] = []
        self.leads = asyncio.Event()
        self.led: list[float] = []  # when work ran, by the machine's clock
        self._lease = LeaderLease(
            LeaseObject(api, NAMESPACE, name),
            identity,
            SETTINGS,
            time.monotonic,
            lambda: datetime.now(UTC),
        )

    async def run(self, work: Callable[[], Awaitable[None]] | None = None) -> None:
        await lead(self._lease, work or self._work, self.lost.append)

    async def _work(self) -> None:
        self.leads.set()
        while True:
            self.led.append(time.monotonic())
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def candidate(kubeconfig: Path, name: str, identity: str) -> AsyncIterator[Candidate]:
    client = await connect(kubeconfig)
    target = urlsplit(client.configuration.host)
    assert target.hostname is not None
    assert target.port is not None
    line = Line(target.hostname, target.port)
    await line.start()
    client.configuration.host = f"https://127.0.0.1:{line.port}"
    api = Api(client, lambda verb, kind, status: None)
    try:
        yield Candidate(line, api, name, identity)
    finally:
        await api.close()
        await line.stop()


@pytest.fixture
def name() -> str:
    return f"lease-test-{uuid.uuid4().hex[:8]}"


async def holder(kubeconfig: Path, name: str) -> str:
    api = Api(await connect(kubeconfig), lambda verb, kind, status: None)
    try:
        lease = await api.json("get", LEASE, LEASE.path(NAMESPACE, name))
        return str(lease["spec"].get("holderIdentity") or "")
    finally:
        await api.close()


async def usurp(store: LeaseObject) -> None:
    """Take the lease from its leader; between two of its renewals there is room for one write."""
    while True:
        lease = await store.read()
        assert lease is not None
        lease["spec"] |= {"holderIdentity": "thief", "leaseDurationSeconds": 60}
        with contextlib.suppress(ConflictError):
            await store.write(lease)
            return


async def ended(task: "asyncio.Task[None]", within: float) -> BaseException | None:
    """What the task ended with."""
    await asyncio.wait((task,), timeout=within)
    assert task.done(), f"still running after {within} s"
    return None if task.cancelled() else task.exception()


async def stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_first_leads_and_a_release_hands_over_without_waiting(
    kubeconfig: Path, name: str
) -> None:
    async def main() -> None:
        async with (
            candidate(kubeconfig, name, "one") as one,
            candidate(kubeconfig, name, "two") as two,
        ):
            first = asyncio.create_task(one.run())
            await asyncio.wait_for(one.leads.wait(), 5)
            second = asyncio.create_task(two.run())
            await asyncio.sleep(SETTINGS.duration_seconds + 1)
            assert not two.leads.is_set(), "a lease that is renewed is not taken"
            assert await holder(kubeconfig, name) == "one"

            await stop(first)
            released = time.monotonic()
            await asyncio.wait_for(two.leads.wait(), 5)
            assert time.monotonic() - released < SETTINGS.retry_period_seconds + 0.5
            assert await holder(kubeconfig, name) == "two"
            await stop(second)
            assert await holder(kubeconfig, name) == ""

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["hangs", "is refused"])
def test_a_leader_whose_line_fails_stops_before_another_begins(
    kubeconfig: Path, name: str, fault: str
) -> None:
    async def main() -> None:
        async with (
            candidate(kubeconfig, name, "one") as one,
            candidate(kubeconfig, name, "two") as two,
        ):
            first = asyncio.create_task(one.run())
            await asyncio.wait_for(one.leads.wait(), 5)
            second = asyncio.create_task(two.run())
            await asyncio.sleep(1)
            cut = time.monotonic()
            if fault == "hangs":
                one.line.hang()
            else:
                await one.line.refuse()

            error = await ended(first, within=SETTINGS.renew_deadline_seconds + 4)
            assert isinstance(error, LeaseLostError)
            assert len(one.lost) == 1, "the process was told to end"
            assert one.led[-1] - cut < SETTINGS.renew_deadline_seconds + 0.5
            await asyncio.wait_for(two.leads.wait(), SETTINGS.duration_seconds + 5)
            assert two.led[0] > one.led[-1], "two led at a time"
            await stop(second)

    asyncio.run(main())


def test_a_short_fault_is_lived_through(kubeconfig: Path, name: str) -> None:
    async def main() -> None:
        async with candidate(kubeconfig, name, "one") as one:
            task = asyncio.create_task(one.run())
            await asyncio.wait_for(one.leads.wait(), 5)
            await one.line.refuse()
            await asyncio.sleep(1.2)
            await one.line.start()
            await asyncio.sleep(SETTINGS.duration_seconds)
            assert not task.done()
            assert one.lost == []
            await stop(task)

    asyncio.run(main())


def test_work_that_dies_gives_the_lease_up(kubeconfig: Path, name: str) -> None:
    async def main() -> None:
        async def die() -> None:
            raise RuntimeError("a defect")

        async with candidate(kubeconfig, name, "one") as one:
            task = asyncio.create_task(one.run(die))
            assert isinstance(await ended(task, within=5), RuntimeError)
            assert one.lost == []
            assert await holder(kubeconfig, name) == ""

    asyncio.run(main())


def test_a_leader_that_was_replaced_stops(kubeconfig: Path, name: str) -> None:
    async def main() -> None:
        async with (
            candidate(kubeconfig, name, "one") as one,
            candidate(kubeconfig, name, "two") as two,
        ):
            task = asyncio.create_task(one.run())
            await asyncio.wait_for(one.leads.wait(), 5)
            store = LeaseObject(two.api, NAMESPACE, name)
            await usurp(store)
            assert isinstance(await ended(task, within=4), LeaseLostError)
            assert await holder(kubeconfig, name) == "thief", "not released by another"

    asyncio.run(main())


def test_an_expired_lease_of_a_dead_leader_is_taken_after_its_duration(
    kubeconfig: Path, name: str
) -> None:
    async def main() -> None:
        async with candidate(kubeconfig, name, "two") as two:
            store = LeaseObject(two.api, NAMESPACE, name)
            spec = {
                "holderIdentity": "dead",
                "leaseDurationSeconds": 2,
                "renewTime": "2001-01-01T00:00:00.000000Z",
                "leaseTransitions": 7,
            }
            await store.write({"metadata": {}, "spec": spec})
            began = time.monotonic()
            task = asyncio.create_task(two.run())
            await asyncio.wait_for(two.leads.wait(), 8)
            assert time.monotonic() - began >= 2, "by our own clock, not by what is written"
            lease = await store.read()
            assert lease is not None
            assert lease["spec"]["leaseTransitions"] == 8
            written = datetime.fromisoformat(lease["spec"]["renewTime"])
            assert abs((datetime.now(UTC) - written).total_seconds()) < 5
            await stop(task)

    asyncio.run(main())


class Process:
    """`dlagent operator` as it runs in a pod, on a namespace where there is nothing to do."""

    def __init__(self, kubeconfig: Path, lease: str, folder: Path) -> None:
        self.settings = folder / "settings.yaml"
        self.settings.write_text(
            "builder: {image: none}\n"
            "runtimes: {triton: {image: none, target: {tritonVersion: none}}}\n"
            "server: {host: 127.0.0.1, port: 0}\n"
            f"lease: {{name: {lease}, durationSeconds: 4, renewDeadlineSeconds: 3,"
            " retryPeriodSeconds: 1}\n"
        )
        self.kubeconfig = kubeconfig
        self.output = folder / "output"

    @contextlib.contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        command = [sys.executable, "-m", "dlagent.cli.main", "operator", "--leader-elect"]
        command += ["--settings", str(self.settings), "--kubeconfig", str(self.kubeconfig)]
        command += ["--namespace", NAMESPACE]
        environment = {**os.environ, "POD_NAMESPACE": NAMESPACE}
        with (
            self.output.open("wb") as output,
            subprocess.Popen(command, stderr=output, stdout=output, env=environment) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    async def said(self, process: "subprocess.Popen[bytes]", text: str) -> None:
        """Until it has logged the text."""
        async with asyncio.timeout(30):
            while text not in self.output.read_text():
                assert process.poll() is None, self.output.read_text()
                await asyncio.sleep(0.05)


def test_sigterm_ends_the_process_in_order_and_releases(
    kubeconfig: Path, name: str, tmp_path: Path
) -> None:
    operator = Process(kubeconfig, name, tmp_path)
    with operator.running() as process:
        asyncio.run(operator.said(process, "the cache is complete"))
        began = time.monotonic()
        process.terminate()
        assert process.wait(10) == 0, operator.output.read_text()
        assert time.monotonic() - began < 5
    assert asyncio.run(holder(kubeconfig, name)) == ""


def test_a_standby_ends_at_once_at_sigterm(kubeconfig: Path, name: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with candidate(kubeconfig, name, "one") as one:
            task = asyncio.create_task(one.run())
            await asyncio.wait_for(one.leads.wait(), 5)
            operator = Process(kubeconfig, name, tmp_path)
            with operator.running() as process:
                await operator.said(process, "standing by, the leader is one")
                process.terminate()
                assert await asyncio.to_thread(process.wait, 5) == 0
            await stop(task)

    asyncio.run(main())


def test_a_process_that_lost_the_lease_ends_itself(
    kubeconfig: Path, name: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with candidate(kubeconfig, name, "thief") as thief:
            operator = Process(kubeconfig, name, tmp_path)
            with operator.running() as process:
                await operator.said(process, "the cache is complete")
                await usurp(LeaseObject(thief.api, NAMESPACE, name))
                assert await asyncio.to_thread(process.wait, 5) == 3
            assert "thief leads now" in operator.output.read_text()

    asyncio.run(main())
