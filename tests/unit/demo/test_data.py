"""The data set comes from the first source that gives the right files, and is kept."""

import hashlib
from pathlib import Path

import pytest

from examples.fashion_mnist import data


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in data.SHA256}
    monkeypatch.setattr(data, "SHA256", digests)


def good(folder: Path) -> None:
    for name in data.SHA256:
        (folder / f"{name}-ubyte.gz").write_bytes(name.encode())


def truncated(folder: Path) -> None:
    good(folder)
    next(folder.iterdir()).write_bytes(b"")


def absent(_folder: Path) -> None:
    raise FileNotFoundError("apt-get")


def test_the_next_source_is_asked_when_one_fails_or_lies() -> None:
    sources = (("apt", absent), ("mirror", truncated), ("https", good))
    folder = data.ensure_data(sources)
    assert data.faults(folder) == []
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]  # no staging is left


def test_what_was_fetched_is_not_fetched_again() -> None:
    data.ensure_data((("https", good),))
    data.ensure_data((("https", absent),))


def test_a_damaged_cache_is_fetched_again() -> None:
    truncated(data.ensure_data((("https", good),)))
    assert data.faults(data.ensure_data((("https", good),))) == []


def test_no_source_names_each_answer_and_a_remedy() -> None:
    with pytest.raises(
        data.DataUnavailableError, match=r"apt: apt-get \| mirror: .*SHA-256.*Remedy"
    ):
        data.ensure_data((("apt", absent), ("mirror", truncated)))
