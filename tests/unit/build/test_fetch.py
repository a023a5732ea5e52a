"""Sources: what is read, what is refused, and that nothing outside of a claim is."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from dlagent.build.failure import BuildError
from dlagent.build.fetch import fetch_file
from dlagent.build.sources.base import Access, Wanted
from dlagent.domain.artifact.summary import FailureReason

CONTENT = b"a model" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    claim = tmp_path / "sources" / "models"
    (claim / "deep").mkdir(parents=True)
    (claim / "net.onnx").write_bytes(CONTENT)
    (claim / "deep" / "net.onnx").write_bytes(CONTENT)
    (claim / "link.onnx").symlink_to("deep/net.onnx")
    (claim / "absolute.onnx").symlink_to(claim / "net.onnx")
    (tmp_path / "sources" / "secret.onnx").write_bytes(b"of another")
    (claim / "escape.onnx").symlink_to("../secret.onnx")
    (claim / "escape").symlink_to("/etc")
    (claim / "circle.onnx").symlink_to("circle.onnx")
    os.mkfifo(claim / "pipe.onnx")
    (tmp_path / "scratch").mkdir()
    return tmp_path / "sources"


def wanted(uri: str, sha256: str | None = None, limit: int = 10**6) -> Wanted:
    return Wanted(uri, sha256, limit)


def run(sources: Path, asked: Wanted, local_files: bool = False) -> str:
    access = Access(sources, sources.parent / "credentials", local_files=local_files)
    copy = sources.parent / "scratch/source"
    copied = fetch_file(asked, access, copy)
    assert CONTENT == copy.read_bytes()
    assert len(CONTENT) == copied.size_bytes
    return copied.sha256


@pytest.mark.parametrize(
    "path",
    ["net.onnx", "deep/net.onnx", "/net.onnx", "deep//net.onnx", "link.onnx", "absolute.onnx"],
)
def test_a_file_of_the_claim_is_copied_and_hashed(sources: Path, path: str) -> None:
    assert DIGEST == run(sources, wanted(f"pvc://models/{path}"))


def test_the_digest_asked_for_passes_in_any_case(sources: Path) -> None:
    assert DIGEST == run(sources, wanted("pvc://models/net.onnx", DIGEST.upper()))


def test_a_local_file_is_a_source_only_where_it_is_allowed(sources: Path) -> None:
    uri = f"file://{sources}/models/net.onnx"

    assert DIGEST == run(sources, wanted(uri), local_files=True)
    with pytest.raises(BuildError, match="does not begin with one of pvc://"):
        run(sources, wanted(uri))


@pytest.mark.parametrize(
    ("uri", "reason", "why"),
    [
        pytest.param("pvc://models/../secret.onnx", "InvalidPath", r"\.\.", id="a step up"),
        pytest.param("pvc://models/deep/../net.onnx", "InvalidPath", r"\.\.", id="even a tame one"),
        pytest.param("pvc://../models/net.onnx", "InvalidPath", "form", id="in place of a claim"),
        pytest.param("pvc://models/escape.onnx", "InvalidPath", "leads out", id="a link out"),
        pytest.param("pvc://models/escape/passwd", "InvalidPath", "leads out", id="a folder out"),
        pytest.param("pvc://models/circle.onnx", "InvalidPath", "link", id="a link to itself"),
        pytest.param("pvc://models/deep", "InvalidPath", "not a regular file", id="a folder"),
        pytest.param("pvc://models/pipe.onnx", "InvalidPath", "not a regular file", id="a pipe"),
        pytest.param("pvc://models/", "InvalidPath", "must name a file", id="no path"),
        pytest.param("pvc://models", "InvalidPath", "form", id="only a claim"),
        pytest.param("ftp://models/net.onnx", "InvalidPath", "begin with", id="another scheme"),
        pytest.param("pvc://models/no.onnx", "SourceUnavailable", "No such file", id="no file"),
        pytest.param("pvc://other/net.onnx", "SourceUnavailable", "not mounted", id="no claim"),
    ],
)
def test_what_is_not_a_file_of_the_claim_is_refused(
    sources: Path, uri: str, reason: str, why: str
) -> None:
    with pytest.raises(BuildError, match=why) as refusal:
        run(sources, wanted(uri))

    assert reason == refusal.value.reason


def test_another_digest_is_refused_and_both_are_named(sources: Path) -> None:
    with pytest.raises(BuildError, match=DIGEST) as refusal:
        run(sources, wanted("pvc://models/net.onnx", "0" * 64))

    assert FailureReason.DIGEST_MISMATCH == refusal.value.reason
    assert "0" * 64 in refusal.value.message


@pytest.mark.parametrize(
    ("limit", "refused"),
    [
        pytest.param(len(CONTENT), False, id="just fits"),
        pytest.param(len(CONTENT) - 1, True, id="a byte too large"),
    ],
)
def test_the_size_limit(sources: Path, limit: int, refused: bool) -> None:
    asked = wanted("pvc://models/net.onnx", limit=limit)
    if not refused:
        assert DIGEST == run(sources, asked)
        return
    with pytest.raises(BuildError, match="maxSourceBytes") as refusal:
        run(sources, asked)
    assert FailureReason.SOURCE_TOO_LARGE == refusal.value.reason


def test_a_full_scratch_is_not_the_sources_fault(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sources.parent / "scratch" / "source").symlink_to("/dev/full")

    with pytest.raises(OSError, match="No space left") as failure:
        run(sources, wanted("pvc://models/net.onnx"))
    assert errno.ENOSPC == failure.value.errno
