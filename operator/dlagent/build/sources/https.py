"""https://HOST/PATH, with redirects, by `requests`."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests

from dlagent.build.sources.answers import check_status, refusal, stream_of
from dlagent.build.sources.base import Access, Interrupted, Stream, Wanted, unavailable
from dlagent.build.sources.credentials import basic_auth, bearer_token
from dlagent.build.sources.guard import PrivateAddressError, guarded_session


class HttpsFile:
    """A file on a web server. Not to be used by two threads at a time."""

    def __init__(self, wanted: Wanted, access: Access) -> None:
        self._wanted = wanted
        self._session = guarded_session(access.allowed_hosts)
        self._session.auth = basic_auth(access.credentials)
        token = bearer_token(access.credentials)
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"
        self._validator: str | None = None

    @contextmanager
    def open(self, offset: int) -> Iterator[Stream]:
        headers = {"Accept-Encoding": "identity"}  # the digest is of the file, not of a packed one
        if offset and self._validator is not None:
            # With If-Range a file that has changed is sent whole.
            headers |= {"Range": f"bytes={offset}-", "If-Range": self._validator}
        with self._get(headers) as response:
            self._check(response)
            self._validator = _validator(response)
            yield stream_of(response, self._wanted, offset)

    def _get(self, headers: dict[str, str]) -> requests.Response:
        try:
            return self._session.get(self._wanted.uri, headers=headers, stream=True)
        except (PrivateAddressError, requests.RequestException) as error:
            raise refusal(self._wanted, error) from error

    def _check(self, response: requests.Response) -> None:
        status = response.status_code
        if status == requests.codes.requested_range_not_satisfiable:
            self._validator = None
            raise Interrupted("the file became shorter while it was read")
        check_status(self._wanted, response)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise unavailable(
                self._wanted,
                "is sent compressed, though that was not asked for",
                "serve the file as it is, without Content-Encoding",
            )


def _validator(response: requests.Response) -> str | None:
    """What names this very content: a strong ETag, else the time of the last change."""
    etag: str | None = response.headers.get("ETag")
    if etag is not None and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified")
