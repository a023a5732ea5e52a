"""gs://BUCKET/OBJECT, Google Cloud Storage.

The key of a service account is the file service-account.json of the Secret; without it the bucket
is read as anyone may. STORAGE_EMULATOR_HOST in the environment names another server.
"""

from gcsfs.core import GCSFileSystem  # type: ignore[import-untyped]  # ships no types
from gcsfs.retry import HttpError  # type: ignore[import-untyped]  # ships no types

from dlagent.build.sources.base import Access, Wanted
from dlagent.build.sources.credentials import GOOGLE_KEY, file
from dlagent.build.sources.filesystem import TIMEOUT_SECONDS, FilesystemFile


def gs_file(wanted: Wanted, access: Access) -> FilesystemFile:
    """The object."""
    key = file(access.credentials, GOOGLE_KEY)
    # The plain one: what gcsfs.GCSFileSystem is by default asks another service first, by gRPC.
    filesystem = GCSFileSystem(
        token=str(key) if key is not None else "anon",
        access="read_only",
        requests_timeout=TIMEOUT_SECONDS,
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    return FilesystemFile(wanted, filesystem, _is_forbidden)


def _is_forbidden(error: Exception) -> bool:
    if isinstance(error, HttpError):
        return error.code in (401, 403, "401", "403")
    # gcsfs has no type for it.
    return isinstance(error, OSError) and str(error).startswith("Forbidden")
