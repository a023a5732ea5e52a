"""Sends one request again and again at given times, whatever the answers do.

An open loop: a server that stalls does not slow the sender down, and a request's latency counts
from when it was due, so a stall shows in all the requests that it held back. None is tried again.
Used by `dlagent bench`, with one event loop in one thread.
"""

import asyncio
import errno
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from dlagent.bench.journal import ANSWERED, NO_RESOURCES, NOT_SENT, UNFINISHED, Journal

_STOP_SECONDS = 0.1  # how long it may take until `stop` is noticed
_TURN = 16  # requests started at most before the event loop gets its turn
_FAILED_STATUS = 300  # and above it: a redirection is no answer either

_NO_ANSWER = "no answer in time"
_REFUSED = "connection refused"
_UNREACHABLE = "cannot connect"
_LOST = "connection lost"


@dataclass(frozen=True)
class Post:
    """The request that is sent: a body that is encoded already, and how to get there.

    Args:
        server_hostname: the name that the server's certificate must have, where it is not the
            URL's.
        proxy: the address of an HTTP proxy on the way.
    """

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    server_hostname: str | None = None
    proxy: str | None = None


@dataclass(frozen=True)
class Limits:
    """How requests travel.

    Args:
        connections: how many requests may be in flight, each on a connection of its own; one that
            is due beyond them is not sent, and counted as such.
        timeout_seconds: how long an answer is waited for.
        fresh_connections: each request opens a connection, as a new client would. Otherwise
            connections are opened as they are needed, kept, and used in turn.
    """

    connections: int = 1000
    timeout_seconds: float = 60.0
    fresh_connections: bool = False


class Sender:
    """One load. `stop` may be called from signal handlers and other threads."""

    def __init__(self, post: Post, limits: Limits) -> None:
        self.journal = Journal()
        self.due = 0
        """How many requests have been due so far."""
        self.sending_seconds = 0.0
        """For how long requests were sent, once that is over."""
        self.too_slow = False
        """Whether it gave up, being behind its own times by a whole timeout."""
        self.cpu_share = 0.0
        """How much of one core this process used in that time."""
        self._url = URL(post.url, encoded=True)
        self._post = post
        self._limits = limits
        self._stop = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._began = 0.0

    @property
    def in_flight(self) -> int:
        """Requests that are under way."""
        return len(self._tasks)

    @property
    def interrupted(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def now(self) -> float:
        """Seconds since the load began; 0 before."""
        return time.monotonic() - self._began if self._began else 0.0

    def stop(self) -> None:
        """Send no more, and give up what is under way."""
        self._stop.set()

    async def send(self, due_times: Iterable[float]) -> None:
        """Send a request at each time (seconds from now, rising), until all have ended."""
        async with self._session() as session:
            self._began, cpu_began = time.monotonic(), time.process_time()
            await self._pace(session, due_times)
            self.sending_seconds = self.now()
            self.cpu_share = (time.process_time() - cpu_began) / (self.sending_seconds or 1.0)
            await self._drain()

    def _session(self) -> aiohttp.ClientSession:
        limits = self._limits
        connector = aiohttp.TCPConnector(
            limit=0,  # ours is counted in _pace, where a request beyond it is not hidden in a queue
            force_close=limits.fresh_connections,
            ssl=self._post.tls or True,
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers=self._post.headers,
            # Triton would compress its answers for whoever says that they can be compressed.
            skip_auto_headers=("Accept-Encoding", "User-Agent"),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=limits.timeout_seconds),
        )

    async def _pace(self, session: aiohttp.ClientSession, due_times: Iterable[float]) -> None:
        for due in due_times:
            await self._until(due)
            if self._stop.is_set():
                return
            if self.now() - due > self._limits.timeout_seconds:
                self.too_slow = True
                return
            self.due += 1
            if len(self._tasks) >= self._limits.connections:
                late = self.now() - due
                self.journal.add(due, late, late, NOT_SENT)
                continue
            task = asyncio.create_task(self._one(session, due))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _until(self, due: float) -> None:
        """Until that time, or until `stop`."""
        # Not an asyncio.Event: another thread could not set it.
        while (wait := due - self.now()) > 0 and not self._stop.is_set():  # noqa: ASYNC110
            await asyncio.sleep(min(wait, _STOP_SECONDS))
        if self.due % _TURN == 0:
            # Behind time nothing waits, and answers must be read all the same.
            await asyncio.sleep(0)

    async def _one(self, session: aiohttp.ClientSession, due: float) -> None:
        late = self.now() - due
        try:
            outcome = await self._exchange(session)
        except asyncio.CancelledError:
            outcome = UNFINISHED
        self.journal.add(due, late, self.now() - due, outcome)

    async def _exchange(self, session: aiohttp.ClientSession) -> str:
        """Send the request and read all of its answer; what became of it."""
        try:
            async with session.post(
                self._url,
                data=self._post.body,
                allow_redirects=False,
                server_hostname=self._post.server_hostname,
                proxy=self._post.proxy,
            ) as response:
                await response.read()
        except TimeoutError:
            return _NO_ANSWER
        except aiohttp.ClientError as error:
            return _kind(error)
        return ANSWERED if response.status < _FAILED_STATUS else f"HTTP {response.status}"

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = error  # a bug: a request that is counted nowhere would spoil the result
            self.stop()

    async def _drain(self) -> None:
        """Until nothing is under way: each ends by its time limit at the latest, or by `stop`."""
        await asyncio.sleep(0)  # each task must have begun before it can count itself
        while self._tasks and not self._stop.is_set():
            await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        waiting = list(self._tasks)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        if self._error is not None:
            raise self._error


def _kind(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        if number in (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL):
            return NO_RESOURCES
        return _REFUSED if number == errno.ECONNREFUSED else _UNREACHABLE
    lost = (
        aiohttp.ServerDisconnectedError,
        aiohttp.ClientOSError,
        aiohttp.ClientPayloadError,
    )
    return _LOST if isinstance(error, lost) else type(error).__name__
