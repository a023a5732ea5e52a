"""hf:// against a small hub behind HF_ENDPOINT.

The hub is a service without a server that could be run here: this one answers as its documentation
and its client have it, for the two requests that a download makes.
"""

import hashlib
import re
from typing import Any

import pytest

from dlagent.build.failure import BuildError

CONTENT = bytes(range(256)) * 20_000
OTHER = CONTENT[::-1]
URI = "hf://example/shoes@main/onnx/model.onnx"
PATH = "onnx/model.onnx"


class Hub:
    """A repository with commits, of which `main` is the last."""

    def __init__(self, web: Any) -> None:
        self._web = web
        self.cuts: list[int] = []  # after so many bytes the connection ends, in turn
        self.errors: list[tuple[int, str]] = []  # answers before the right ones, in turn
        self.token: str | None = None
        self.commits: list[str] = []

    def commit(self, content: bytes) -> None:
        commit = hashlib.sha1(content).hexdigest()
        self.commits.append(commit)
        for revision in ("main", commit):
            path = f"/example/shoes/resolve/{revision}/{PATH}"
            self._web.answers[path] = lambda handler: self._answer(handler, content, commit)

    def asked(self) -> list[tuple[str, str | None]]:
        return [(path.split("/")[4], headers.get("Range")) for path, headers in self._web.requests]

    def _answer(self, handler: Any, content: bytes, commit: str) -> None:
        if self.errors:
            status, code = self.errors.pop(0)
            return self._refuse(handler, status, code)
        if self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
            return self._refuse(handler, 401, "RepoNotFound")
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        body = content[int(asked[1]) :] if asked else content
        handler.send_response(206 if asked else 200)
        handler.send_header("X-Repo-Commit", commit)
        handler.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(body[: self.cuts.pop(0) if self.cuts else None])
        return None

    def _refuse(self, handler: Any, status: int, code: str) -> None:
        handler.send_response(status)
        handler.send_header("X-Error-Code", code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


@pytest.fixture
def hub(web: Any, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HF_ENDPOINT", web.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    made = Hub(web)
    made.commit(CONTENT)
    return made


def test_a_file_arrives_whole(hub: Hub, room: Any) -> None:
    assert CONTENT == room.download(URI)
    assert [] == room.waits


def test_a_cut_download_goes_on_in_the_same_commit(hub: Hub, room: Any) -> None:
    hub.cuts = [2 << 20]

    assert CONTENT == room.download(URI)
    (commit,) = hub.commits
    ranges = [("main", None), (commit, None), (commit, None), (commit, f"bytes={2 << 20}-")]
    assert ranges == hub.asked()


def test_a_branch_that_moves_meanwhile_is_not_stitched_together(hub: Hub, room: Any) -> None:
    hub.cuts = [2 << 20]
    first = room.waits.append

    def move(seconds: float) -> None:
        first(seconds)
        hub.commit(OTHER)

    room.waits = Waits(move)

    assert CONTENT == room.download(URI)
    assert OTHER == room.download(URI)


class Waits(list[float]):
    """What is waited for, with something that happens meanwhile."""

    def __init__(self, meanwhile: Any) -> None:
        self._meanwhile = meanwhile

    def append(self, seconds: float) -> None:
        self._meanwhile(seconds)


def test_a_private_repository_needs_its_token(
    hub: Hub, room: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_right"
    monkeypatch.setenv("HF_TOKEN", "hf_right")

    assert CONTENT == room.download(URI)


@pytest.mark.parametrize(
    ("status", "code", "why", "remedy"),
    [
        pytest.param(401, "RepoNotFound", "is private", "secretRef", id="no repository"),
        pytest.param(403, "GatedRepo", "agreed to its terms", "secretRef", id="a gated one"),
        pytest.param(404, "RevisionNotFound", "is not there", "uri", id="no such revision"),
        pytest.param(404, "EntryNotFound", "is not there", "uri", id="no such file"),
        pytest.param(418, "", "answered with 418", "uri", id="another answer"),
    ],
)
def test_what_cannot_be_had_is_told_at_once(
    hub: Hub, room: Any, status: int, code: str, why: str, remedy: str
) -> None:
    hub.errors = [(status, code)]

    with pytest.raises(BuildError, match=why) as refusal:
        room.download(URI)
    assert "SourceUnavailable" == refusal.value.reason
    assert f"spec.model.source.{remedy}" in refusal.value.message
    assert [] == room.waits


def test_a_hub_that_has_no_time_is_asked_again(hub: Hub, room: Any) -> None:
    hub.errors = [(503, ""), (429, "")]

    assert CONTENT == room.download(URI)
    assert [0.5, 1] == room.waits


def test_a_repository_without_a_revision_is_refused(room: Any) -> None:
    with pytest.raises(BuildError, match="form hf://ORG/REPO@REVISION/PATH"):
        room.download("hf://example/shoes/model.onnx")
