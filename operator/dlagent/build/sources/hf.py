"""hf://ORG/REPO@REVISION/PATH, a model repository of the Hugging Face Hub, by the hub's own client.

HF_TOKEN and HF_ENDPOINT are read from the environment. A branch is resolved to its commit once, and
a download that was cut goes on in that commit.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # not in its __all__
    build_hf_headers,
    hf_raise_for_status,
)

from dlagent.build.sources.base import (
    CHUNK_BYTES,
    Access,
    Interrupted,
    Stream,
    Wanted,
    invalid,
    not_allowed,
    unavailable,
)

TIMEOUT_SECONDS = 30
_URI = re.compile(r"hf://([^/@]+/[^/@]+)@([^/@]+)/(.+)")
_TRANSIENT_STATUS = {408, 429, 500, 502, 503, 504}


class HubFile:
    """A file of a repository at a revision."""

    def __init__(self, wanted: Wanted, access: Access) -> None:
        """Raises BuildError: InvalidPath."""
        del access  # all is in the environment
        parts = _URI.fullmatch(wanted.uri)
        if parts is None:
            raise invalid(wanted, "it is not of the form hf://ORG/REPO@REVISION/PATH")
        self._wanted = wanted
        self._repository, self._revision, self._path = parts.groups()
        self._token = os.environ.get("HF_TOKEN") or False
        self._endpoint = os.environ.get("HF_ENDPOINT")

    @contextmanager
    def open(self, offset: int) -> Iterator[Stream]:
        with self._translated():
            size = self._resolve()
            headers = build_hf_headers(token=self._token)
            headers |= {"Accept-Encoding": "identity"}
            if offset:
                headers["Range"] = f"bytes={offset}-"
            request = get_session().stream(
                "GET", self._url(), headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=True
            )
            with request as response:
                hf_raise_for_status(response)
                start = offset if response.status_code == httpx2.codes.PARTIAL_CONTENT else 0
                yield Stream(start, size, self._chunks(response))

    def _resolve(self) -> int | None:
        """Ask for the file, and from now on for the commit that it is in. Its size."""
        metadata = get_hf_file_metadata(
            self._url(), token=self._token, timeout=TIMEOUT_SECONDS, endpoint=self._endpoint
        )
        self._revision = metadata.commit_hash or self._revision
        return metadata.size

    def _url(self) -> str:
        return hf_hub_url(
            self._repository, self._path, revision=self._revision, endpoint=self._endpoint
        )

    def _chunks(self, response: httpx2.Response) -> Iterator[bytes]:
        with self._translated():
            yield from response.iter_bytes(CHUNK_BYTES)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except GatedRepoError as error:
            raise not_allowed(self._wanted, "is for those who have agreed to its terms") from error
        except RepositoryNotFoundError as error:
            why = "is in a repository that is not there, or is private"
            raise not_allowed(self._wanted, why) from error
        except (RevisionNotFoundError, EntryNotFoundError) as error:
            raise unavailable(self._wanted, "is not there") from error
        except HfHubHTTPError as error:
            status = error.response.status_code
            if status in _TRANSIENT_STATUS:
                raise Interrupted(f"the hub answers {status}") from error
            if status in (401, 403):
                raise not_allowed(self._wanted, f"is answered with {status}") from error
            raise unavailable(self._wanted, f"is answered with {status}") from error
        except (httpx2.HTTPError, OSError) as error:
            raise Interrupted(str(error) or type(error).__name__) from error
