"""A small Kubernetes client for the launcher: it starts in no time, which the big ones do not."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

Object = dict[str, Any]

_FIELD_MANAGER = "dlagent-local"
_TIMEOUT = 10.0
_CLUSTER_WIDE = {"Namespace", "Node", "PersistentVolume", "StorageClass", "ClusterRole"} | {
    "APIService",
    "ClusterRoleBinding",
}


class ApiError(RuntimeError):
    """The apiserver refused; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Kube:
    """Requests to one apiserver with a client certificate; OSError when it is not there."""

    def __init__(self, port: int, pki: Path) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def get(self, path: str) -> Object:
        return self._request("GET", path)

    def find(self, path: str) -> Object | None:
        """None when there is no such object."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def apply(self, manifest: Object) -> Object:
        """Server-side apply."""
        path = object_path(manifest)
        query = f"?fieldManager={_FIELD_MANAGER}&force=true"
        return self._request("PATCH", path + query, manifest, "application/apply-patch+yaml")

    def merge(self, path: str, patch: Object) -> Object:
        """A JSON merge patch."""
        return self._request("PATCH", path, patch, "application/merge-patch+json")

    def delete(self, path: str) -> Object:
        return self._request("DELETE", path)

    def _request(
        self, method: str, path: str, body: Object | None = None, content: str = ""
    ) -> Object:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=_TIMEOUT, context=self._tls
        )
        try:
            headers = {"Content-Type": content} if body is not None else {}
            data = json.dumps(body) if body is not None else None
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            answer: Object = json.loads(response.read())
        except (http.client.HTTPException, ValueError) as error:
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise ApiError(response.status, str(answer.get("message", answer)))
        return answer


def object_path(manifest: Object) -> str:
    """Where an object is in the API. Plurals are the kind's with an s, which fits all used here."""
    version, kind = manifest["apiVersion"], manifest["kind"]
    root = "/api/v1" if version == "v1" else f"/apis/{version}"
    plural = kind.lower() + ("es" if kind.endswith("s") else "s")
    metadata = manifest["metadata"]
    namespace = (
        "" if kind in _CLUSTER_WIDE else f"/namespaces/{metadata.get('namespace', 'default')}"
    )
    return f"{root}{namespace}/{plural}/{quote(metadata['name'])}"


def load_manifests(file: Path) -> list[Object]:
    """The objects of a file with several YAML documents."""
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def wait_for(what: str, condition: Callable[[], object], seconds: float) -> None:
    """Look until `condition` holds; errors of the connection count as not yet.

    Raises TimeoutError with `what` in it.
    """
    deadline = time.monotonic() + seconds
    last: Exception | None = None
    while True:
        try:
            if condition():
                return
        except (OSError, ApiError) as error:
            last = error
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"{what} did not happen within {seconds:g} s" + (f": {last}" if last else "")
            )
        time.sleep(0.05)
