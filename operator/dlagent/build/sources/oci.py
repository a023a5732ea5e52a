"""oci://HOST/REPO:TAG/TITLE: a file of an artifact in a registry, as `oras push` puts it there.

oras knows how to authenticate; credentials are a .dockerconfigjson, or username and password, of
the Secret. The tag is resolved to a file's digest once, so that a download that was cut goes on in
the same content.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import requests
from oras.container import Container  # type: ignore[import-untyped]  # ships no types
from oras.defaults import (  # type: ignore[import-untyped]  # as above
    default_manifest_accepted_media_types,
)
from oras.provider import Registry  # type: ignore[import-untyped]  # as above
from pydantic import BaseModel, Field, ValidationError

from dlagent.build.failure import BuildError
from dlagent.build.sources.answers import check_status, refusal, stream_of
from dlagent.build.sources.base import Access, Stream, Wanted, invalid, not_allowed, unavailable
from dlagent.build.sources.credentials import registry_auth
from dlagent.build.sources.guard import PrivateAddressError, guard, guarded_session

TITLE = "org.opencontainers.image.title"

_URI = re.compile(
    r"oci://(?P<host>[^/]+)/"
    r"(?P<name>[^:@]+(?::[^/@]+|@(?P<digest>sha256:[0-9a-f]{64})))/(?P<title>.+)"
)
_MOST_MANIFEST_BYTES = 4 << 20  # what the specification lets registries refuse beyond


class _Layer(BaseModel):
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    annotations: dict[str, str] | None = None


class _Manifest(BaseModel):
    layers: list[_Layer]


class _Registry(Registry):  # type: ignore[misc]  # oras ships no types
    """Without retries of its own, which would wait minutes where nothing can help."""

    do_request = Registry.do_request.__wrapped__


class ArtifactFile:
    """A file of an artifact."""

    def __init__(self, wanted: Wanted, access: Access) -> None:
        """Raises BuildError: InvalidPath."""
        parts = _URI.fullmatch(wanted.uri)
        if parts is None:
            raise invalid(
                wanted, "it is neither oci://HOST/REPO:TAG/TITLE nor oci://HOST/REPO@DIGEST/TITLE"
            )
        self._wanted = wanted
        self._access = access
        self._host, self._title, self._digest = parts["host"], parts["title"], parts["digest"]
        self._container = Container(f"{self._host}/{parts['name']}")
        self._registry: Registry | None = None
        self._layer: str | None = None

    @contextmanager
    def open(self, offset: int) -> Iterator[Stream]:
        if self._layer is None:
            self._layer = self._find_layer()
        url = f"https://{self._container.get_blob_url(self._layer)}"
        with self._get(url, {"Range": f"bytes={offset}-"} if offset else {}) as response:
            yield stream_of(response, self._wanted, offset)

    def _find_layer(self) -> str:
        """The digest of the file, from the artifact's manifest."""
        accept = {"Accept": ", ".join(default_manifest_accepted_media_types)}
        with self._get(f"https://{self._container.manifest_url()}", accept) as response:
            content = response.raw.read(_MOST_MANIFEST_BYTES, decode_content=True)
        if self._digest not in (None, f"sha256:{hashlib.sha256(content).hexdigest()}"):
            raise unavailable(self._wanted, "has another manifest than its digest says")
        try:
            manifest = _Manifest.model_validate_json(content)
        except ValidationError as error:
            raise unavailable(
                self._wanted, "is not an artifact with files, as `oras push` makes one"
            ) from error
        for layer in manifest.layers:
            if (layer.annotations or {}).get(TITLE) == self._title:
                return layer.digest
        raise unavailable(self._wanted, f"is not there: the artifact has no {self._title!r}")

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        try:
            response: requests.Response = self._connected().do_request(
                url, "GET", headers=headers, stream=True
            )
        except (PrivateAddressError, requests.RequestException) as error:
            raise refusal(self._wanted, error) from error
        except ValueError as error:  # oras's where it cannot authenticate
            raise self._without_credentials() from error
        check_status(self._wanted, response)
        return response

    def _connected(self) -> Registry:
        if self._registry is None:
            self._registry = self._connect()
        return self._registry

    def _connect(self) -> Registry:
        """A registry says by its answer to an empty request in which way it wants credentials."""
        with guarded_session(self._access.allowed_hosts) as session:
            asked = session.get(f"https://{self._host}/v2/")
            basic = asked.headers.get("WWW-Authenticate", "").lower().startswith("basic")
            registry = _Registry(
                self._host,
                tls_verify=session.verify,
                auth_backend="basic" if basic else "token",
            )
        guard(registry.session, self._access.allowed_hosts)
        known = registry_auth(self._access.credentials, self._host)
        if known is not None:
            registry.auth.set_basic_auth(*known)
        elif basic:
            raise self._without_credentials()
        return registry

    def _without_credentials(self) -> BuildError:
        return not_allowed(self._wanted, "is in a registry that wants credentials")
