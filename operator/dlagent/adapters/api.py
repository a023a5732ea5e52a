"""Requests to the apiserver by kubernetes.aio's client, with objects as plain JSON.

The client's typed methods are left aside: they cost a model a kind, and drop fields that they do
not know. Each request has a time-out, and each failure becomes a `ClusterError` that says what to
do. kopf's watches get their session from the same credentials. The client is partly
untyped, hence the `type: ignore[no-untyped-call]`.
"""

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from dlagent.adapters.kinds import WATCHED, KindInfo
from dlagent.adapters.kubeconfig import kubeconfig_errors, kubeconfig_location
from dlagent.domain.status.errors import ClusterError

Object = dict[str, Any]
Objects = list[Object]
JSON = "application/json"
_WATCHED_PLURALS = frozenset(info.plural for info in WATCHED)
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

REQUEST_SECONDS = 10.0
LIST_SECONDS = 60.0
PAGE = 100  # objects in memory at a time


class UnansweredError(ClusterError):
    """No answer came: a write may have happened. Read again and decide anew, with back-off."""

    def __init__(self, message: str) -> None:
        super().__init__(None, message)


class MissingError(ClusterError):
    """404: the object, its namespace or its kind is not there (any more). Decide anew."""


class ConflictError(ClusterError):
    """409: the write was based on an older object. Wait for the cache and decide anew."""


class InvalidError(ClusterError):
    """400 or 422: the same request will never be accepted. Tell the user; trying is of no use."""


class ForbiddenError(ClusterError):
    """401 or 403: a role is missing, or a quota is used up. Tell the user, try with back-off."""


class ThrottledError(ClusterError):
    """429: the apiserver asks for patience. Try again after `retry_after` seconds."""

    def __init__(self, status: int | None, message: str, retry_after: float) -> None:
        super().__init__(status, message)
        self.retry_after = retry_after


class UnavailableError(ClusterError):
    """5xx: the apiserver cannot now. Try again with back-off."""


_BY_STATUS: dict[int, type[ClusterError]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: MissingError,
    409: ConflictError,
    422: InvalidError,
}


def error_of(status: int, body: bytes, headers: Mapping[str, str]) -> ClusterError:
    """The exception for an answer that is no success; its message is the apiserver's."""
    message = _message(body) or f"HTTP {status}"
    if status == 429:
        return ThrottledError(status, message, _retry_after(headers))
    if status >= 500:
        return UnavailableError(status, message)
    return _BY_STATUS.get(status, ClusterError)(status, message)


class Api:
    """One client for all of the operator's requests but watches.

    `observe(verb, kind, status)` hears of each request; status 0 where none was answered.
    """

    def __init__(self, client: ApiClient, observe: Callable[[str, str, int], None]) -> None:
        self._client = client
        self._observe = observe

    async def request(
        self,
        verb: str,
        info: KindInfo,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = JSON,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> bytes:
        """Send one request; returns the body of the answer.

        Raises:
            ClusterError: one of the classes above.
        """
        status = 0
        try:
            async with asyncio.timeout(timeout_seconds):
                method, url, headers, sent, _ = await self._client.param_serialize(
                    _METHODS[verb],
                    path,
                    query_params=list((query or {}).items()),
                    header_params={"Content-Type": content_type, "Accept": JSON},
                    body=body,
                    auth_settings=["BearerToken"],
                )
                answer = await self._client.rest_client.request(  # type: ignore[no-untyped-call]  # no types
                    method,
                    url,
                    headers,
                    sent,
                    _request_timeout=aiohttp.ClientTimeout(total=timeout_seconds),
                )
                content: bytes = await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            raise UnansweredError(f"{verb} {path}: {what or type(error).__name__}") from error
        finally:
            self._observe(verb, info.kind, status)
        if not 200 <= status < 300:
            raise error_of(status, content, answer.headers)
        return content

    async def json(self, verb: str, info: KindInfo, path: str, **options: Any) -> Object:
        """As `request`, for answers that are an object."""
        answer: Object = json.loads(await self.request(verb, info, path, **options))
        return answer

    async def list(
        self, info: KindInfo, namespace: str | None, page: Callable[[Objects], None]
    ) -> str:
        """The list's resourceVersion, after all objects that the kind's selector takes.

        `page` is handed some at a time, so that thousands are never in memory at once. Where the
        list has to be begun anew, it is handed those before again, and some that may be gone since.

        Raises:
            ClusterError: one of the classes above; MissingError where the kind is not served.
        """
        try:
            return await self._list(info, namespace, PAGE, page)
        except ClusterError as error:
            if error.status != 410:
                raise
        # The continue token expired between pages: ask for all at once.
        return await self._list(info, namespace, None, page)

    async def _list(
        self,
        info: KindInfo,
        namespace: str | None,
        limit: int | None,
        page: Callable[[Objects], None],
    ) -> str:
        query = {"labelSelector": info.selector} if info.selector else {}
        if limit is not None:
            query["limit"] = str(limit)
        while True:
            answer = await self.json(
                "list", info, info.path(namespace), query=query, timeout_seconds=LIST_SECONDS
            )
            for item in answer["items"]:
                item["apiVersion"], item["kind"] = info.api_version, info.kind
            page(answer["items"])
            query["continue"] = answer["metadata"].get("continue") or ""
            if not query["continue"]:
                return str(answer["metadata"]["resourceVersion"])

    @property
    def host(self) -> str:
        return str(self._client.configuration.host)

    async def session(self, trace: aiohttp.TraceConfig) -> aiohttp.ClientSession:
        """A session of its own for watches, with the credentials of this moment."""
        headers: dict[str, str] = {}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
        connector = aiohttp.TCPConnector(limit=0, ssl=self._client.rest_client.ssl_context)
        return aiohttp.ClientSession(
            connector=connector,
            headers=headers,
            trace_configs=[trace],
            response_class=_WithoutItems,
        )

    async def close(self) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]  # no types


class _WithoutItems(aiohttp.ClientResponse):
    """A list without what is in it, as if it were complete.

    kopf lists before it watches and handles each object, which takes it a millisecond and a
    kilobyte. `runtime.listing` makes its own list once the watch has begun; kopf needs the
    resourceVersion only.
    """

    async def json(self, **options: Any) -> Any:
        answer = await super().json(**options)
        if self.url.path.rsplit("/", 1)[-1] in _WATCHED_PLURALS and "items" in answer:
            answer["items"] = []
            answer["metadata"].pop("continue", None)
        return answer


async def connect(kubeconfig: Path | None) -> ApiClient:
    """A client for the file given, else for KUBECONFIG, the pod's service account or ~/.kube.

    Raises:
        KubeconfigError: there is none, or it cannot be used.
        kubernetes.aio.config.ConfigException: so it is with the pod's service account.
    """
    configuration = Configuration()
    configuration.retries = False  # the work queue tries again, and knows when it is of no use
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ
    if kubeconfig is None and in_pod:
        config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]  # no types
    else:
        location = kubeconfig_location(kubeconfig)
        with kubeconfig_errors(location, config.ConfigException):
            await config.load_kube_config(  # type: ignore[no-untyped-call]  # no types
                config_file=location, client_configuration=configuration, persist_config=False
            )
    return ApiClient(configuration)


_METHODS = {
    "get": "GET",
    "list": "GET",
    "logs": "GET",
    "create": "POST",
    "update": "PUT",
    "apply": "PATCH",
    "patch": "PATCH",
    "delete": "DELETE",
}


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After", "1")))
    except ValueError:
        return 1.0
