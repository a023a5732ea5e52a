"""What the tests of sources share: a certificate authority of their own, an HTTPS server."""

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dlagent.build.sources.base import Access, Wanted
from dlagent.build.sources.download import Copied, download
from dlagent.build.sources.registry import remote_file
from dlagent_local.pki import Authority, Identity

LOOPBACK = ("127.0.0.1", "localhost")
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Certificates:
    """Files in the PEM format."""

    authority: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    Authority(folder).issue("server", Identity("server", hosts=LOOPBACK))
    return Certificates(folder / "ca.crt", folder / "server.crt", folder / "server.key")


@pytest.fixture(autouse=True)
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))


@dataclass
class WebServer:
    """An HTTPS server whose every path is answered by a function."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@pytest.fixture
def web(certificates: Certificates) -> Iterator[WebServer]:
    running: WebServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            running.requests.append((self.path, dict(self.headers)))
            self.close_connection = True
            answer = running.answers.get(self.path)
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

        do_HEAD = do_GET  # noqa: N815  # what http.server calls

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that hang up are what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    running = WebServer(f"https://localhost:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield running
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Room:
    """A folder to download into, and what was waited for."""

    folder: Path
    waits: list[float] = field(default_factory=list)
    allowed_hosts: tuple[str, ...] = LOOPBACK

    @property
    def credentials(self) -> Path:
        return self.folder / "credentials"

    def download(self, uri: str, max_bytes: int = 10**8) -> bytes:
        """The content that arrives; its digest and size are checked against it."""
        wanted = Wanted(uri, None, max_bytes)
        access = Access(self.folder / "claims", self.credentials, self.allowed_hosts)
        target = self.folder / "copy"
        copied = download(remote_file(wanted, access), target, wanted, self.waits.append)
        content = target.read_bytes()
        assert copied_of(content) == copied
        return content


def copied_of(content: bytes) -> Copied:
    return Copied(hashlib.sha256(content).hexdigest(), len(content))


@pytest.fixture
def room(tmp_path: Path) -> Room:
    (tmp_path / "credentials").mkdir()
    return Room(tmp_path)
