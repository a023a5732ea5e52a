"""An S3 server (moto's) that can be told to do something before or after a certain request.

The fault is at the server, so that the client is the one of production, with its real requests.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import s3fs  # type: ignore[import-untyped]  # ships no types
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from dlagent.adapters.object_store import ObjectStore

BUCKET = "artifacts"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "secret",
}
Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # its name there
        pass


class FaultyS3:
    """moto's S3 on a port of its own.

    `before` and `after` are called around the work of each request, with its number: where they
    return True the client gets an error in place of the answer.
    """

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._lock = threading.Lock()
        self.requests: list[str] = []
        self.before: Callable[[int], bool] = _no
        self.after: Callable[[int], bool] = _no

    def start(self) -> None:
        self._thread.start()
        self.filesystem().mkdir(BUCKET)
        self.calm()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def calm(self) -> None:
        """No faults from now on, and requests are counted anew."""
        self.requests, self.before, self.after = [], _no, _no

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def filesystem(self) -> Any:
        """A client that tries each request once only, so that a test need not wait."""
        found = s3fs.S3FileSystem(
            key=ENVIRONMENT["AWS_ACCESS_KEY_ID"],
            secret=ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
            endpoint_url=self.url,
            config_kwargs={"retries": {"total_max_attempts": 1}},
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        found.retries = 1
        return found

    def store(self, prefix: str = "vision") -> ObjectStore:
        return ObjectStore(self.filesystem(), f"{BUCKET}/{prefix}")

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            number = len(self.requests)
            self.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        if self.before(number):
            return _unavailable(start_response)
        answer = _Held()
        body = b"".join(self._moto(environ, answer))
        if self.after(number):
            return _unavailable(start_response)
        start_response(*answer.status)
        return [body]


class _Held:
    """What an application answered, kept until it may be sent."""

    def __init__(self) -> None:
        self.status: tuple[Any, ...] = ()

    def __call__(self, *status: Any) -> None:
        self.status = status


def _no(_number: int) -> bool:
    return False


def _unavailable(start_response: StartResponse) -> Iterable[bytes]:
    start_response("503 Service Unavailable", [("Content-Length", "0")])
    return [b""]
