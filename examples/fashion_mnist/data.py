"""The 70,000 images of Fashion-MNIST (Xiao et al., 2017; MIT licence).

Called by train.py, the demo and the benchmarks. The files come from Debian's package
`dataset-fashion-mnist` where apt is there (no root needed), else over https from the data set's
own repository; either way each file must have the SHA-256 written here. Kept in the user's cache.
"""

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
PACKAGE = "dataset-fashion-mnist"
HOME = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
SHA256 = {  # of the files <name>-ubyte.gz
    "train-images-idx3": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
HTTP_TIMEOUT_SECONDS = 60
APT_TIMEOUT_SECONDS = 300

Bytes = NDArray[np.uint8]
Fetch = Callable[[Path], None]  # fills a folder with the four files


class DataUnavailableError(RuntimeError):
    """No source gave the files; the message says what each one answered."""


@dataclass(frozen=True)
class Split:
    """Images [n, 28, 28] with grey values 0..255, and their classes [n]."""

    images: Bytes
    labels: Bytes


def cache_root() -> Path:
    """Where the user's machine keeps what can be made again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dlagent"


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}-ubyte.gz"


def faults(folder: Path) -> list[str]:
    """What is wrong with the files in a folder; empty when all four are right."""
    found = []
    for path, expected in ((_file(folder, name), digest) for name, digest in SHA256.items()):
        if not path.is_file():
            found.append(f"{path.name} is missing")
        elif digest_of(path) != expected:
            found.append(f"{path.name} has another SHA-256 than expected")
    return found


def fetch_by_apt(folder: Path) -> None:
    """Take the files out of Debian's package, as any user.

    Raises:
        OSError, subprocess.SubprocessError: apt or dpkg-deb is not there, or failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        try:
            _run(["apt-get", "download", PACKAGE], scratch)
        except subprocess.CalledProcessError:
            # The machine's package lists may be empty, and only root may fill them: use our own.
            state = Path(scratch, "state")
            (state / "lists" / "partial").mkdir(parents=True)
            own = [
                "-o",
                f"Dir::State::Lists={state / 'lists'}",
                "-o",
                f"Dir::Cache={state}",
            ]
            _run(["apt-get", *own, "update"], scratch)
            _run(["apt-get", *own, "download", PACKAGE], scratch)
        package = next(Path(scratch).glob("*.deb"))
        _run(["dpkg-deb", "-x", str(package), "unpacked"], scratch)
        for name in SHA256:
            unpacked = Path(scratch, "unpacked/usr/share/datasets/fashion-mnist")
            shutil.copyfile(_file(unpacked, name), _file(folder, name))


def _run(command: list[str], folder: str) -> None:
    subprocess.run(
        command,
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=APT_TIMEOUT_SECONDS,
    )


def fetch_by_https(folder: Path) -> None:
    """Download the files from the data set's own repository.

    Raises:
        urllib.error.URLError, TimeoutError: it cannot be reached.
    """
    for name in SHA256:
        path = _file(folder, name)
        with (
            urllib.request.urlopen(  # noqa: S310 - HOME is https
                HOME + path.name, timeout=HTTP_TIMEOUT_SECONDS
            ) as answer,
            path.open("wb") as file,
        ):
            shutil.copyfileobj(answer, file)


SOURCES: tuple[tuple[str, Fetch], ...] = (
    ("apt", fetch_by_apt),
    ("https", fetch_by_https),
)


def ensure_data(sources: tuple[tuple[str, Fetch], ...] = SOURCES) -> Path:
    """The folder that holds the four files, fetched now if the cache has none that are right.

    Raises:
        DataUnavailableError: no source gave files with the right digests.
    """
    folder = cache_root() / "fashion-mnist-data"
    if folder.is_dir() and not faults(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    answers = []
    for name, fetch in sources:
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix="fashion-mnist-data."))
        try:
            fetch(staging)
            wrong = faults(staging)
            if not wrong:
                shutil.rmtree(folder, ignore_errors=True)
                staging.rename(folder)
                return folder
            answers.append(f"{name}: {'; '.join(wrong)}")
        except (OSError, subprocess.SubprocessError, urllib.error.URLError) as error:
            answers.append(f"{name}: {error}")
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    raise DataUnavailableError(
        "could not get Fashion-MNIST. "
        + " | ".join(answers)
        + f". Remedy: put the four .gz files of the data set into {folder}"
    )


def _read(path: Path, header_bytes: int) -> Bytes:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header_bytes)


def load(name: str) -> Split:
    """The split "train" (60,000 images) or "t10k" (the 10,000 test images)."""
    folder = ensure_data()
    images = _read(_file(folder, f"{name}-images-idx3"), header_bytes=16).reshape(-1, 28, 28)
    return Split(images, _read(_file(folder, f"{name}-labels-idx1"), header_bytes=8))
