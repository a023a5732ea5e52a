"""The services that an artifact store may be in, and in what their clients differ.

Called by `dlagent.adapters.object_store`. All else is fsspec's interface, the same for each.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dlagent.api.names import STORE_PREFIX

_AWS_OPTIONS = {
    "key": "AWS_ACCESS_KEY_ID",
    "secret": "AWS_SECRET_ACCESS_KEY",
    "token": "AWS_SESSION_TOKEN",
    "endpoint_url": "AWS_ENDPOINT_URL",
}
_GOOGLE_KEY = "service-account.json"
_GOOGLE_SERVER = "https://storage.googleapis.com"
_GOOGLE_OTHER_SERVER = "STORAGE_EMULATOR_HOST"
_AZURE_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
_AZURE_ACCOUNT = "AZURE_STORAGE_ACCOUNT_NAME"
_AZURE_KEYS = {
    "AccountKey": "AZURE_STORAGE_ACCOUNT_KEY",
    "SharedAccessSignature": "AZURE_STORAGE_SAS_TOKEN",
}
_S3_PUT_BYTES = 5 << 30  # the most that one put may have; a model file is smaller


@dataclass(frozen=True)
class Service:
    """One service. `modified` is the entry of a listing with the time when an object was put."""

    client: Callable[..., Any]  # of what `options` gives; the fsspec filesystem
    options: Callable[[Mapping[str, str]], dict[str, Any]]  # of the store's own environment
    modified: str
    put_options: Mapping[str, Any] = field(default_factory=dict)


def own_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the store's Secret, by the names that they have there."""
    return {
        name.removeprefix(STORE_PREFIX): value
        for name, value in environment.items()
        if name.startswith(STORE_PREFIX)
    }


def s3_options(own: Mapping[str, str]) -> dict[str, Any]:
    """For s3fs. No key is no credentials at all: else it would find those of a source."""
    told: dict[str, Any] = {"anon": "AWS_ACCESS_KEY_ID" not in own}
    told |= {option: own[name] for option, name in _AWS_OPTIONS.items() if name in own}
    if "endpoint_url" not in told:
        told["config_kwargs"] = {"ignore_configured_endpoint_urls": True}  # a source's
    if "AWS_DEFAULT_REGION" in own:
        told["client_kwargs"] = {"region_name": own["AWS_DEFAULT_REGION"]}
    return told


def google_options(own: Mapping[str, str]) -> dict[str, Any]:
    """For gcsfs. Raises OSError: the key of the service account is no JSON."""
    # Named also where it is the usual one: else gcsfs takes a source's from the environment.
    server = {"endpoint_url": own.get(_GOOGLE_OTHER_SERVER, _GOOGLE_SERVER)}
    if _GOOGLE_KEY not in own:
        return {"token": "anon", **server}
    try:
        return {"token": json.loads(own[_GOOGLE_KEY]), **server}
    except ValueError as error:
        raise OSError(
            f"{_GOOGLE_KEY} in the store's Secret is not JSON: put the service account's key there"
        ) from error


def azure_options(own: Mapping[str, str]) -> dict[str, Any]:
    """For adlfs: always one connection string, beside which it reads nothing of a source's.

    Raises OSError: no account is named.
    """
    if _AZURE_CONNECTION in own:
        return {"connection_string": own[_AZURE_CONNECTION]}
    if _AZURE_ACCOUNT not in own:
        raise OSError(
            f"the store's Secret names no account: give it {_AZURE_CONNECTION} or {_AZURE_ACCOUNT}"
        )
    parts = {"AccountName": own[_AZURE_ACCOUNT]} | {
        part: own[name].removeprefix("?") for part, name in _AZURE_KEYS.items() if name in own
    }
    return {"connection_string": ";".join(f"{part}={value}" for part, value in parts.items())}


def _s3(**options: Any) -> Any:
    import s3fs  # type: ignore[import-untyped]  # ships no types

    return s3fs.S3FileSystem(**options)


def _google(**options: Any) -> Any:
    # The plain one: what gcsfs.GCSFileSystem is by default asks another service first, by gRPC.
    from gcsfs.core import GCSFileSystem  # type: ignore[import-untyped]  # ships no types

    return GCSFileSystem(**options)


def _azure(**options: Any) -> Any:
    import adlfs  # type: ignore[import-untyped]  # ships no types

    return adlfs.AzureBlobFileSystem(**options)


# What is larger than one request goes to Google and Azure in parts, and is there when the last one
# was taken; parts that were never completed are the service's to forget.
SERVICES = {
    "s3": Service(_s3, s3_options, "LastModified", {"chunksize": _S3_PUT_BYTES}),
    "gs": Service(_google, google_options, "mtime"),
    "az": Service(_azure, azure_options, "last_modified"),
}


def client(scheme: str, environment: Mapping[str, str]) -> Any:
    """The service's filesystem, which caches no listing and tells of each object anew.

    Where the environment has nothing of the store's own, the service's library looks for itself.

    Raises:
        ImportError: the library is not installed.
        OSError, or what the library raises: the credentials are of no use.
    """
    service = SERVICES[scheme]
    own = own_environment(environment)
    options = service.options(own) if own else {}
    return service.client(**options, use_listings_cache=False, skip_instance_cache=True)
