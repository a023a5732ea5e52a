"""https:// against a real web server: redirects, cuts, slow and false answers, addresses."""

import base64
import re
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from dlagent.build.failure import BuildError
from dlagent.build.sources import guard
from dlagent.build.sources.base import CHUNK_BYTES
from dlagent.build.sources.download import RETRIES

Handler = BaseHTTPRequestHandler
CONTENT = bytes(range(256)) * 20_000  # 5 MB: several chunks
OTHER = CONTENT[::-1]


def send(
    handler: Handler,
    content: bytes,
    etag: str | None = '"one"',
    cut: int | None = None,
    pause: Callable[[], object] | None = None,
    **headers: str,
) -> None:
    """As a server that knows ranges does; after `cut` bytes of the answer the connection ends."""
    start = 0
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if asked and handler.headers.get("If-Range") == etag:
        start = int(asked[1])
    body = content[start:]
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    if etag:
        handler.send_header("ETag", etag)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body[:cut])
    if pause is not None:
        pause()


def redirect(location: str) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def in_turn(*answers: Callable[[Handler], None]) -> Callable[[Handler], None]:
    """Each answer once, and the last one from then on."""
    left = list(answers)

    def answer(handler: Handler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


def whole(handler: Handler) -> None:
    send(handler, CONTENT)


def cut_after(size: int, content: bytes = CONTENT, **how: Any) -> Callable[[Handler], None]:
    return lambda handler: send(handler, content, cut=size, **how)


def refused(room: Any, uri: str, **how: Any) -> BuildError:
    with pytest.raises(BuildError) as refusal:
        room.download(uri, **how)
    return refusal.value


def test_a_file_arrives_whole(web: Any, room: Any) -> None:
    web.answers["/net.onnx"] = whole

    assert CONTENT == room.download(f"{web.url}/net.onnx")
    assert [] == room.waits


def test_a_cut_download_goes_on_where_it_was(web: Any, room: Any) -> None:
    web.answers["/net.onnx"] = in_turn(cut_after(2_000_000), cut_after(1_500_000), whole)

    assert CONTENT == room.download(f"{web.url}/net.onnx")
    ranges = [headers.get("Range") for _, headers in web.requests]
    assert [None, "bytes=2000000-", "bytes=3500000-"] == ranges
    assert [0.5, 0.5] == room.waits


@pytest.mark.parametrize(
    "etag",
    [
        pytest.param(None, id="the server names no version"),
        pytest.param('W/"one"', id="the version is a weak one"),
    ],
)
def test_where_nothing_names_the_content_a_cut_download_begins_anew(
    web: Any, room: Any, etag: str | None
) -> None:
    web.answers["/net.onnx"] = in_turn(
        cut_after(2_000_000, etag=etag), lambda handler: send(handler, CONTENT, etag)
    )

    assert CONTENT == room.download(f"{web.url}/net.onnx")
    assert [None, None] == [headers.get("Range") for _, headers in web.requests]


def test_a_file_that_changed_after_the_cut_is_not_stitched_together(web: Any, room: Any) -> None:
    web.answers["/net.onnx"] = in_turn(
        cut_after(2_000_000), lambda handler: send(handler, OTHER, '"two"')
    )

    assert OTHER == room.download(f"{web.url}/net.onnx")


def test_a_file_that_became_shorter_after_the_cut_is_read_anew(web: Any, room: Any) -> None:
    def out_of_range(handler: Handler) -> None:
        handler.send_error(416)

    web.answers["/net.onnx"] = in_turn(
        cut_after(2_000_000), out_of_range, lambda handler: send(handler, b"short", '"two"')
    )

    assert b"short" == room.download(f"{web.url}/net.onnx")


def test_a_server_that_sends_another_part_than_asked_for_is_refused(web: Any, room: Any) -> None:
    def another(handler: Handler) -> None:
        send(handler, CONTENT, Content_Range="bytes 5-6/7")

    web.answers["/net.onnx"] = in_turn(cut_after(2_000_000), another)

    assert "in another part than was asked for" in refused(room, f"{web.url}/net.onnx").message


def test_a_server_that_always_cuts_is_given_up(web: Any, room: Any) -> None:
    web.answers["/net.onnx"] = cut_after(10, etag=None)

    refusal = refused(room, f"{web.url}/net.onnx")

    assert "SourceUnavailable" == refusal.reason
    assert "retries did not help" in refusal.message
    assert [0.5, 1, 2, 4, 8, 16] == room.waits
    assert RETRIES + 1 == len(web.requests)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_that_has_no_time_is_asked_again(web: Any, room: Any, status: int) -> None:
    web.answers["/net.onnx"] = in_turn(lambda handler: handler.send_error(status), whole)

    assert CONTENT == room.download(f"{web.url}/net.onnx")


def test_a_server_that_hangs_is_asked_again(
    web: Any, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "TIMEOUT_SECONDS", 0.2)
    web.answers["/net.onnx"] = in_turn(
        cut_after(2 * CHUNK_BYTES, pause=lambda: time.sleep(1)), whole
    )

    assert CONTENT == room.download(f"{web.url}/net.onnx")
    assert f"bytes={2 * CHUNK_BYTES}-" == web.requests[1][1]["Range"]


def test_a_length_that_is_too_long_counts_as_a_cut(web: Any, room: Any) -> None:
    def too_long(handler: Handler) -> None:
        send(handler, CONTENT, Content_Length=str(len(CONTENT) + 5))

    web.answers["/net.onnx"] = too_long

    assert "retries did not help" in refused(room, f"{web.url}/net.onnx").message


def test_the_size_limit_holds_before_the_file_and_while_it_comes(web: Any, room: Any) -> None:
    def without_length(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT)

    web.answers |= {"/told": whole, "/untold": without_length}

    for path in ("/told", "/untold"):
        refusal = refused(room, web.url + path, max_bytes=3_000_000)
        assert "SourceTooLarge" == refusal.reason
        assert (room.folder / "copy").stat().st_size <= 3_000_000


def test_five_redirects_are_followed_and_a_sixth_is_not(web: Any, room: Any) -> None:
    for hop in range(6):
        web.answers[f"/{hop}"] = redirect(f"/{hop + 1}")
    web.answers["/6"] = whole

    assert CONTENT == room.download(f"{web.url}/1")
    assert "redirected more than 5 times" in refused(room, f"{web.url}/0").message


def test_a_redirect_to_plain_http_is_refused(web: Any, room: Any) -> None:
    web.answers["/net.onnx"] = redirect(web.url.replace("https", "http") + "/other")

    refusal = refused(room, f"{web.url}/net.onnx")

    assert "SourceUnavailable" == refusal.reason
    assert "does not begin with https://" in refusal.message


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("10.0.0.1", id="a private network"),
        pytest.param("169.254.169.254", id="a cloud's own service"),
        pytest.param("[::1]", id="loopback of IPv6"),
        pytest.param("[::ffff:127.0.0.1]", id="loopback of IPv4 in IPv6"),
        pytest.param("[fd00::1]", id="a private network of IPv6"),
        pytest.param("224.0.0.1", id="a group"),
        pytest.param("0.0.0.0", id="any address"),
    ],
)
def test_a_redirect_to_an_address_that_is_not_public_is_refused(
    web: Any, room: Any, host: str
) -> None:
    room.allowed_hosts = ("localhost",)
    web.answers["/net.onnx"] = redirect(f"https://{host}:{web.url.rpartition(':')[2]}/secret")
    web.answers["/secret"] = whole

    refusal = refused(room, f"{web.url}/net.onnx")

    assert "InvalidPath" == refusal.reason
    assert "builder.allowedHosts" in refusal.message
    assert ["/net.onnx"] == [path for path, _ in web.requests]


def test_a_name_that_resolves_to_a_private_address_is_refused(web: Any, room: Any) -> None:
    room.allowed_hosts = ()
    web.answers["/net.onnx"] = whole

    refusal = refused(room, f"{web.url}/net.onnx")

    assert "localhost has the address" in refusal.message
    assert [] == web.requests


def test_a_name_is_looked_up_once_for_the_check_and_the_connection(
    web: Any, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a server of names could give a public address first and a private one then."""
    room.allowed_hosts = ("rebound.example",)
    asked: list[object] = []
    look_up = socket.getaddrinfo

    def rebind(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        if host == "rebound.example":
            asked.append(host)
            host = "127.0.0.1"
        return look_up(host, port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    port = web.url.rpartition(":")[2]

    refusal = refused(room, f"https://rebound.example:{port}/net.onnx")

    assert "certificate" in refusal.message  # the connection was made; the server has another name
    assert ["rebound.example"] == asked


def test_a_certificate_that_is_not_trusted_is_refused(
    web: Any, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    web.answers["/net.onnx"] = whole

    refusal = refused(room, f"{web.url}/net.onnx")

    assert "certificate that is not trusted" in refusal.message
    assert "SSL_CERT_FILE" in refusal.message


@pytest.mark.parametrize("status", [401, 403])
def test_missing_credentials_are_told_as_such(web: Any, room: Any, status: int) -> None:
    web.answers["/net.onnx"] = lambda handler: handler.send_error(status)

    refusal = refused(room, f"{web.url}/net.onnx")

    assert "SourceUnavailable" == refusal.reason
    assert "spec.model.source.secretRef" in refusal.message


def test_a_missing_file_is_told_at_once(web: Any, room: Any) -> None:
    assert "404 Not Found" in refused(room, f"{web.url}/net.onnx").message
    assert [] == room.waits


def test_a_server_that_is_not_there_is_given_up(room: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}/net.onnx"

    assert "cannot be reached" in refused(room, url).message


def test_a_host_that_nobody_knows_is_given_up(room: Any) -> None:
    assert "SourceUnavailable" == refused(room, "https://nowhere.invalid/net.onnx").reason


def test_a_compressed_answer_is_refused(web: Any, room: Any) -> None:
    web.answers["/net.onnx"] = lambda handler: send(handler, CONTENT, Content_Encoding="gzip")

    assert "sent compressed" in refused(room, f"{web.url}/net.onnx").message


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        pytest.param(
            {"username": "ann", "password": "xyz\n"},
            "Basic " + base64.b64encode(b"ann:xyz").decode(),
            id="user name and password",
        ),
        pytest.param({"token": "abc"}, "Bearer abc", id="a token"),
        pytest.param({"username": "ann"}, None, id="a user name alone"),
    ],
)
def test_credentials_go_to_the_host_that_was_named_and_no_further(
    web: Any, room: Any, secret: dict[str, str], expected: str | None
) -> None:
    for key, value in secret.items():
        (room.credentials / key).write_text(value)
    other = web.url.replace("localhost", "127.0.0.1")
    web.answers |= {"/net.onnx": redirect(f"{other}/moved"), "/moved": whole}

    assert CONTENT == room.download(f"{web.url}/net.onnx")
    sent = [headers.get("Authorization") for _, headers in web.requests]
    assert [expected, None] == sent
