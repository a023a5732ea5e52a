"""az://CONTAINER/PATH, Azure Blob Storage.

Read from the environment, as adlfs does: AZURE_STORAGE_CONNECTION_STRING, or
AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_TOKEN or
AZURE_STORAGE_CLIENT_ID, _CLIENT_SECRET, _TENANT_ID. With the account's name alone the container is
read as anyone may.
"""

import os

import adlfs  # type: ignore[import-untyped]  # ships no types
from azure.core.exceptions import HttpResponseError

from dlagent.build.sources.base import Access, Wanted, not_allowed
from dlagent.build.sources.filesystem import TIMEOUT_SECONDS, FilesystemFile

_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
_ACCOUNT = "AZURE_STORAGE_ACCOUNT_NAME"
_KEYS = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CLIENT_ID")
_FORBIDDEN = (401, 403)


def az_file(wanted: Wanted, access: Access) -> FilesystemFile:
    """The blob. Raises BuildError: no account is named."""
    del access  # all is in the environment
    if not {_CONNECTION, _ACCOUNT} & os.environ.keys():
        raise not_allowed(
            wanted, f"is in an account that neither {_CONNECTION} nor {_ACCOUNT} names"
        )
    filesystem = adlfs.AzureBlobFileSystem(
        # Else adlfs asks the machine for credentials of its own.
        anon=not {_CONNECTION, *_KEYS} & os.environ.keys(),
        connection_timeout=TIMEOUT_SECONDS,
        read_timeout=TIMEOUT_SECONDS,
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    return FilesystemFile(wanted, filesystem, _is_forbidden)


def _is_forbidden(error: Exception) -> bool:
    """adlfs wraps some errors of Azure's library in others."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PermissionError):
            return True
        if isinstance(cause, HttpResponseError) and cause.status_code in _FORBIDDEN:
            return True
        cause = cause.__cause__ or cause.__context__
    return False
