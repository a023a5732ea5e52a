"""A WSGI application that hands each request on to a server and its answer back, unchanged.

Faults are put before a server that is a program of its own by it; see `FaultyServer`.
"""

import http.client
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from tests.unit.adapters.faulty_server import RAW_HEADERS, Application, Environ, StartResponse

_HERE_ONLY = {"transfer-encoding", "connection", "keep-alive"}


def forwarding(url: str) -> Application:
    address = urlsplit(url).netloc

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        upstream = http.client.HTTPConnection(address, timeout=30)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        # Names of objects have escaped slashes, which only the raw request still has.
        upstream.request(
            environ["REQUEST_METHOD"], environ["REQUEST_URI"], body, _kept(environ[RAW_HEADERS])
        )
        response = upstream.getresponse()
        content = response.read()
        upstream.close()
        headers = _kept({name.title(): value for name, value in response.getheaders()})
        headers.setdefault("Content-Length", str(len(content)))
        start_response(f"{response.status} {response.reason}", list(headers.items()))
        return [content]

    return answer


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HERE_ONLY}
