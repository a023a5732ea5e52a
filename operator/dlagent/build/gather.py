"""Stage "fetch": all that a build reads, and whether its artifact is known already.

The only stage that reaches sources. It imports no library that reads models: where it runs there
are credentials and the store. Called by dlagent.build.pipeline and dlagent.build.containers.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from dlagent.build.fetch import Source, fetch_file, fetch_model
from dlagent.build.places import Places
from dlagent.build.progress import Progress
from dlagent.build.sources.base import Access, Wanted
from dlagent.build.sources.cache import Downloads
from dlagent.build.stored import known
from dlagent.domain.artifact.layout import STALE_STAGING_SECONDS
from dlagent.domain.artifact.request import BuildRequest, pinned_files
from dlagent.domain.artifact.summary import Summary


@dataclass(frozen=True)
class Gathered:
    """The source, and the files beside it by the field of the spec that names them.

    `known` tells of the artifact where the store has it: then nothing is beside.
    """

    source: Source
    beside: dict[str, Path]
    known: Summary | None = None


def gather(request: BuildRequest, places: Places, progress: Progress) -> Gathered:
    """Copy what a request names to `places.scratch`.

    Raises:
        BuildError: as `fetch_model` and `fetch_file`.
        OSError: no space, or the store failed.
    """
    progress.begin("fetch", f"reading {request.source_uri}")
    places.store.sweep_staging(time.time(), STALE_STAGING_SECONDS)
    access = Access(
        places.sources, places.credentials, tuple(request.allowed_hosts), places.local_files
    )
    cache = _cache(request, places)
    source = fetch_model(request, access, places.scratch, cache)
    found = known(places.store, request, source.sha256)
    if found is not None:
        return Gathered(source, {}, found)
    beside = beside_paths(request, places.scratch)
    for field, file in pinned_files(request).items():
        progress.begin("fetch", f"reading {file.uri}")
        wanted = Wanted(file.uri, file.sha256, request.max_source_bytes, field)
        fetch_file(wanted, access, beside[field], cache)
    return Gathered(source, beside)


def beside_paths(request: BuildRequest, folder: Path) -> dict[str, Path]:
    """Where the data set and the student are copied to, by the field that names them."""
    fields = pinned_files(request)
    return {field: folder / f"beside-{number}" for number, field in enumerate(fields)}


def _cache(request: BuildRequest, places: Places) -> Downloads | None:
    """Where downloads are kept, swept; None where they are not."""
    if places.downloads is None or not request.download_cache_bytes:
        return None
    cache = Downloads(places.downloads, request.download_cache_bytes)
    cache.sweep(time.time())
    return cache
