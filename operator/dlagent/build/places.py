"""Where a build reads and writes."""

from dataclasses import dataclass
from pathlib import Path

from dlagent.adapters.store import ArtifactStore


@dataclass(frozen=True)
class Places:
    """Mounted claims, the artifact store, room for copies.

    `credentials` holds the files of the source's Secret, `downloads` is the folder of the store
    that downloads are kept in (None: they are not). `local_files`: whether file:// is a source.
    `trials` is the folder shared with the Triton to measure on, if there is one.
    """

    sources: Path
    store: ArtifactStore
    scratch: Path
    credentials: Path = Path("/credentials")
    downloads: Path | None = None
    local_files: bool = False
    trials: Path | None = None
