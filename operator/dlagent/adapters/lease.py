"""The Lease object behind `runtime.lease`, of which it is the `LeaseStore` by shape."""

from dlagent.adapters.api import Api, MissingError, Object
from dlagent.adapters.kinds import LEASE


class LeaseObject:
    """One Lease by its name. Failures are `ClusterError`s, of the classes in `api`."""

    def __init__(self, api: Api, namespace: str, name: str) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name

    async def read(self) -> Object | None:
        """The Lease; None where there is none."""
        path = LEASE.path(self._namespace, self._name)
        try:
            return await self._api.json("get", LEASE, path)
        except MissingError:
            return None

    async def write(self, lease: Object) -> Object:
        """Replace the version that `lease` names, or create it where it names none."""
        named = {**lease["metadata"], "namespace": self._namespace, "name": self._name}
        body = {**lease, "apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": named}
        if "resourceVersion" in named:
            path = LEASE.path(self._namespace, self._name)
            return await self._api.json("update", LEASE, path, body=body)
        return await self._api.json("create", LEASE, LEASE.path(self._namespace), body=body)
