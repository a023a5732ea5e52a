"""s3://BUCKET/KEY, on any service that speaks S3's protocol.

Read from the environment, as botocore does: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_SESSION_TOKEN, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL, AWS_CA_BUNDLE. Without a key the bucket is
read as anyone may.
"""

import os

import s3fs  # type: ignore[import-untyped]  # ships no types
from botocore.exceptions import (  # type: ignore[import-untyped]  # ships no types
    NoCredentialsError,
    PartialCredentialsError,
)

from dlagent.build.sources.base import Access, Wanted
from dlagent.build.sources.filesystem import TIMEOUT_SECONDS, FilesystemFile


def s3_file(wanted: Wanted, access: Access) -> FilesystemFile:
    """The object."""
    del access  # all is in the environment
    filesystem = s3fs.S3FileSystem(
        anon="AWS_ACCESS_KEY_ID" not in os.environ,
        # The download tries again by itself, from where it was.
        config_kwargs={
            "retries": {"total_max_attempts": 1},
            "connect_timeout": TIMEOUT_SECONDS,
            "read_timeout": TIMEOUT_SECONDS,
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    filesystem.retries = 1
    return FilesystemFile(wanted, filesystem, _is_forbidden)


def _is_forbidden(error: Exception) -> bool:
    return isinstance(error, PermissionError | NoCredentialsError | PartialCredentialsError)
