"""Counts what a service account writes, by the apiserver itself: `steady_state`, `operator_scale`.

A FlowSchema that matches the account and the writing verbs makes the apiserver keep a count of
those requests, with no change to the program. A write that changes nothing counts too.
"""

import time
from dataclasses import dataclass

from benchmarks.bench import BenchmarkError
from dlagent_demo.kube import Json, Kube

_VERBS = ["create", "update", "patch", "delete", "deletecollection"]
_WRITES, _LEASE = "bench-operator-writes", "bench-operator-lease"
_COUNTER = "apiserver_flowcontrol_dispatched_requests_total"
_QUIET_SECONDS = 20


@dataclass(frozen=True)
class WriteCount:
    """The writes of one service account; one such count at a time in a cluster."""

    kube: Kube
    namespace: str
    account: str

    def begin(self) -> None:
        """Have the apiserver count this account's writes from now on, those to Leases apart."""
        everything = {"apiGroups": ["*"], "resources": ["*"]}
        leases = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
        self.kube.apply(
            self._flow_schema(_LEASE, precedence=10, resources=leases),
            self._flow_schema(_WRITES, precedence=11, resources=everything),
        )

    def writes(self) -> int:
        """How many of its requests wrote, Leases apart, since `begin`."""
        return self._dispatched(_WRITES)

    def lease_writes(self) -> int:
        """How often it wrote a Lease."""
        return self._dispatched(_LEASE)

    def wait_quiet(self, within_seconds: float = 300) -> None:
        """Until nothing was written for 20 s: what was done before is history.

        Raises:
            BenchmarkError: it did not stop writing in time.
        """
        last, since = self.writes(), time.monotonic()
        deadline = time.monotonic() + within_seconds
        while time.monotonic() - since < _QUIET_SECONDS:
            time.sleep(1)
            now = self.writes()
            if now != last:
                last, since = now, time.monotonic()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"it did not stop writing for {within_seconds:.0f} s")

    def _flow_schema(self, name: str, precedence: int, resources: Json) -> Json:
        account = {"namespace": self.namespace, "name": self.account}
        rule = {
            "subjects": [{"kind": "ServiceAccount", "serviceAccount": account}],
            "resourceRules": [
                {**resources, "verbs": _VERBS, "clusterScope": True, "namespaces": ["*"]}
            ],
        }
        return {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "kind": "FlowSchema",
            "metadata": {"name": name},
            "spec": {
                "priorityLevelConfiguration": {"name": "workload-high"},
                "matchingPrecedence": precedence,
                "distinguisherMethod": {"type": "ByUser"},
                "rules": [rule],
            },
        }

    def _dispatched(self, schema: str) -> int:
        metrics = self.kube("get", "--raw", "/metrics")
        lines = (line for line in metrics.splitlines() if line.startswith(_COUNTER + "{"))
        return sum(int(float(line.split()[-1])) for line in lines if f'"{schema}"' in line)
