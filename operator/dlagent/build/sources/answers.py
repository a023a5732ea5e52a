"""What answers by HTTPS mean for a source, for the schemes that go through `requests`."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
import urllib3

from dlagent.build.sources.base import (
    CHUNK_BYTES,
    Interrupted,
    Stream,
    Wanted,
    invalid,
    not_allowed,
    unavailable,
)
from dlagent.build.sources.guard import MOST_REDIRECTS, PrivateAddressError

_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


def check_status(wanted: Wanted, response: requests.Response) -> None:
    """Raises Interrupted or BuildError where an answer is not the file or a part of it."""
    status = response.status_code
    if status in (requests.codes.ok, requests.codes.partial_content):
        return
    said = f"is answered with {status} {response.reason} by {urlsplit(response.url).hostname}"
    if status in _TRANSIENT_STATUS:
        raise Interrupted(f"the server answers {status} {response.reason}")
    if status in (requests.codes.unauthorized, requests.codes.forbidden):
        raise not_allowed(wanted, said)
    raise unavailable(wanted, said)


def refusal(wanted: Wanted, error: Exception) -> Exception:
    """What a request that got no answer means for the source."""
    match error:
        case PrivateAddressError():
            return invalid(
                wanted,
                f"{error}; builds may reach private addresses only of hosts that"
                " builder.allowedHosts in the operator's settings names",
            )
        case requests.TooManyRedirects():
            return unavailable(
                wanted,
                f"is redirected more than {MOST_REDIRECTS} times",
                f"write where it ends in {wanted.field}.uri",
            )
        case requests.exceptions.InvalidSchema():
            return unavailable(
                wanted,
                "is redirected to an address that does not begin with https://",
                f"name a server that stays with https in {wanted.field}.uri",
            )
        case requests.exceptions.SSLError():
            return unavailable(
                wanted,
                f"has a certificate that is not trusted ({_innermost(error)})",
                "put the certificate of its authority into the Secret, and its path into"
                " SSL_CERT_FILE there",
            )
        case requests.exceptions.InvalidURL() | requests.exceptions.MissingSchema():
            return invalid(wanted, "it, or what it redirects to, is not a URL")
        case _:
            return Interrupted(_innermost(error))


def stream_of(response: requests.Response, wanted: Wanted, offset: int) -> Stream:
    """The bytes of an answer to a request for all from `offset` on.

    Raises:
        BuildError: it is another part.
    """
    length = response.headers.get("Content-Length")
    if response.status_code == requests.codes.partial_content:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != offset:
            raise unavailable(
                wanted,
                "is sent in another part than was asked for",
                "name a server that keeps to HTTP's Range, or that has none",
            )
        size = None if found[2] == "*" else int(found[2])
        return Stream(offset, size, _chunks(response))
    return Stream(0, int(length) if length and length.isdigit() else None, _chunks(response))


def _chunks(response: requests.Response) -> Iterator[bytes]:
    try:
        yield from response.raw.stream(CHUNK_BYTES, decode_content=False)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Interrupted(f"the connection broke: {_innermost(error)}") from error


def _innermost(error: BaseException) -> str:
    """The cause that urllib3 and requests wrap, in one line."""
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
