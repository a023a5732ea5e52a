"""Files that take long to make, kept in the user's cache by a digest of what they are made of."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from examples.fashion_mnist.data import cache_root


def cached_folder(name: str, made_of: list[Path], make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills; made once for the same sources and the same torch."""
    digest = hashlib.sha256(metadata.version("torch").encode())
    for path in made_of:
        digest.update(path.read_bytes())
    folder = cache_root() / f"{name}-{digest.hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{name}-staging."))
    try:
        make(staging)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder
