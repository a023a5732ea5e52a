"""A server of objects that can be told to do something before or after a certain request.

The fault is at the server, so that the client is the one of production, with its real requests.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from dlagent.adapters.object_services import SERVICES
from dlagent.adapters.object_store import ObjectStore

BUCKET = "artifacts"
RAW_HEADERS = "raw_headers"  # in the environ of a request
Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class _Handler(WSGIRequestHandler):
    """It writes no log, and hands on the headers as they came: WSGI has none with underscores."""

    def log(self, type: str, message: str, *args: Any) -> None:  # its name there
        pass

    def make_environ(self) -> Environ:
        return super().make_environ() | {RAW_HEADERS: dict(self.headers)}


class FaultyServer(ABC):
    """A WSGI application on a port of its own.

    `before` and `after` are called around the work of each request, with its number: where they
    return True the client gets an error, `refusal`, in place of the answer. It must be one after
    which the client does not try again, so that a test need not wait.
    """

    scheme: str
    refusal: str
    of_a_source: Mapping[str, str]  # entries of a Secret with which the store is not found

    def __init__(self, application: Application) -> None:
        self._application = application
        self._server: BaseWSGIServer = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Handler
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._lock = threading.Lock()
        self.requests: list[str] = []
        self.before: Callable[[int], bool] = _no
        self.after: Callable[[int], bool] = _no

    @abstractmethod
    def filesystem(self) -> Any:
        """The client, as the store has it."""

    @abstractmethod
    def make_bucket(self) -> None: ...

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """The entries of the Secret that opens the store."""

    @contextmanager
    def running(self) -> Iterator[Self]:
        """With its bucket, until the block ends."""
        self._thread.start()
        try:
            self.make_bucket()
            self.calm()
            yield self
        finally:
            self._server.shutdown()
            self._thread.join(10)
            self._server.server_close()

    def calm(self) -> None:
        """No faults from now on, and requests are counted anew."""
        self.requests, self.before, self.after = [], _no, _no

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def store(self, prefix: str = "vision") -> ObjectStore:
        return ObjectStore(self.filesystem(), f"{BUCKET}/{prefix}", SERVICES[self.scheme])

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            number = len(self.requests)
            self.requests.append(f"{environ['REQUEST_METHOD']} {environ['REQUEST_URI']}")
        if self.before(number):
            return self._refused(start_response)
        answer = _Held()
        body = b"".join(self._application(environ, answer))
        if self.after(number):
            return self._refused(start_response)
        start_response(*answer.status)
        return [body]

    def _refused(self, start_response: StartResponse) -> Iterable[bytes]:
        start_response(self.refusal, [("Content-Length", "0")])
        return [b""]


class _Held:
    """What an application answered, kept until it may be sent."""

    def __init__(self) -> None:
        self.status: tuple[Any, ...] = ()

    def __call__(self, *status: Any) -> None:
        self.status = status


def _no(_number: int) -> bool:
    return False
