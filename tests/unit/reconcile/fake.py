"""A small stand-in for the cluster: apiserver, controllers, builder and pods, without waiting.

`FakeCluster` fits the ports of dlagent.reconcile. Server-side apply merges as the real one does
for the objects that we write. `step` lets the Job and Deployment controllers, the kubelet and the
garbage collector act once. Faults come from `on_write`, called around each write.
"""

import copy
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from dlagent.api import names
from dlagent.domain.artifact.request import BuildRequest, artifact_key
from dlagent.domain.artifact.selfcheck import SelfCheck
from dlagent.domain.artifact.summary import FailureReason, Outcome, Summary, failed
from dlagent.domain.status.errors import ClusterError
from dlagent.domain.sweep.unused import SweepReport
from dlagent.reconcile import observe
from dlagent.reconcile.ports import Object
from dlagent.runtime.settings import parse_settings
from tests.unit.reconcile.build_summary import summary
from tests.unit.reconcile.merging import merged

Objects = list[Object]
Lines = list[str]
NAMESPACE = "vision"
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SETTINGS = parse_settings(
    """
    builder: {image: builder:1}
    runtimes:
      triton: {image: triton:1, target: {tritonVersion: "24.10"}}
      other: {image: other:1, target: {tritonVersion: "24.10"}}
    """
)


class Crash(BaseException):
    """The operator's process ends here."""


def agent_object(name: str = "shoes", **spec: Any) -> Object:
    """A DLAgent as a user writes it."""
    return {
        "apiVersion": "dlagent.io/v1alpha1",
        "kind": "DLAgent",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": {}},
        "spec": {
            "model": {"source": {"uri": "pvc://models/shoes.onnx"}},
            "slo": {"latency": {"thresholdMilliseconds": 50}},
            **spec,
        },
    }


class FakeCluster:
    """Everything outside of the reconcilers; see the module's docstring."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.time = START
        self.files = {"pvc://models/shoes.onnx": "a" * 64}
        self.stored: set[str] = set()  # keys of good artifacts
        self.oom_builds = False
        self.hold_builds = False
        self.speaking = "build"  # the container of a build whose log says something
        self.hold_sweeps = False
        self.start_seconds: float | None = None  # how long pods say that they took to be ready
        self.used_at: dict[str, datetime] = {}  # when a build published or found an artifact
        self.broken: Callable[[Object], bool] = lambda _deployment: False
        self.lying: Callable[[Object], bool] = lambda _deployment: False
        self.events: list[tuple[str, str]] = []
        self.failures = 0
        self.requests: list[str] = []  # each that may write, in order
        self.on_write: Callable[[str, int], None] = lambda _when, _number: None
        self._ids = itertools.count(1)
        self.touched: list[tuple[str, Object]] = []

    # --- reader ---

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        return copy.deepcopy(self.objects.get((kind, namespace, name)))

    def keys(self, kind: str) -> Sequence[tuple[str, str]]:
        return [(namespace, name) for its, namespace, name in self.objects if its == kind]

    def list(self, kind: str, namespace: str, labels: Mapping[str, str]) -> Objects:
        return [
            copy.deepcopy(obj)
            for (its_kind, its_namespace, _), obj in sorted(self.objects.items())
            if (its_kind, its_namespace) == (kind, namespace)
            and (obj["metadata"].get("labels") or {}).items() >= labels.items()
        ]

    # --- writer ---

    async def read(self, kind: str, namespace: str, name: str) -> Object | None:
        return self.get(kind, namespace, name)

    async def apply(self, obj: Object) -> Object:
        return self._write(f"apply {obj['kind']}", lambda: self._merge(obj))

    async def create(self, obj: Object) -> None:
        def add() -> Object:
            metadata = obj["metadata"]
            known = self.objects.get((obj["kind"], metadata["namespace"], metadata["name"]))
            return known if known is not None else self._merge(obj)

        self._write(f"create {obj['kind']}", add)

    async def apply_status(self, obj: Object) -> Object:
        return self._write("status", lambda: self._set_status(obj))

    async def scale(self, partial: Object) -> Object:
        return self._write("scale", lambda: self._merge(partial, scaler=True))

    async def delete(self, kind: str, namespace: str, name: str, uid: str) -> None:
        def remove() -> Object:
            found = self.objects.get((kind, namespace, name))
            if found is not None and found["metadata"]["uid"] == uid:
                self.remove(kind, name)
            return {}

        self._write(f"delete {kind}", remove)

    async def emit(self, agent: Object, type_: str, reason: str, message: str) -> None:
        self.events.append((agent["metadata"]["name"], reason))

    async def last_lines(self, namespace: str, pod: str, container: str) -> Lines:
        if container != self.speaking:
            return []
        report = {"stage": "export", "message": "exporting to ONNX", "step": 3, "of": 7}
        return [json.dumps(report), "UserWarning: a library has something to say", "  warn(text)"]

    async def self_check(self, pod_ip: str, agent: str, check: SelfCheck) -> str | None:
        for obj in self.objects.values():
            if obj["kind"] == "Deployment" and obj["metadata"]["name"] == pod_ip:
                return "output logits: value 0 is 1 instead of 0.5" if self.lying(obj) else None
        return None

    def now(self) -> datetime:
        return self.time

    def _write(self, what: str, commit: Callable[[], Object]) -> Object:
        number = len(self.requests)
        self.requests.append(what)
        try:
            self.on_write("before", number)
            answer = copy.deepcopy(commit())
            self.on_write("after", number)
        except ClusterError:
            self.failures += 1
            raise
        return answer

    def _merge(self, wanted: Object, scaler: bool = False) -> Object:
        metadata = wanted["metadata"]
        key = (wanted["kind"], metadata["namespace"], metadata["name"])
        live = self.objects.get(key)
        uid = metadata.get("uid")
        if uid is not None and (live is None or live["metadata"]["uid"] != uid):
            raise ClusterError(409, "uid does not match")
        if live is None:
            fresh = copy.deepcopy(wanted)
            if wanted["kind"] == "Deployment":
                fresh["spec"].setdefault("replicas", 1)
            return self.put(fresh)
        if not scaler and "replicas" in (wanted.get("spec") or {}):
            raise AssertionError("spec.replicas belongs to dlagent-scaler")
        result = merged(live, wanted, "")
        if result != live:
            self.put(result)
        return self.objects[key]

    def _set_status(self, wanted: Object) -> Object:
        metadata = wanted["metadata"]
        live = self.objects.get((wanted["kind"], metadata["namespace"], metadata["name"]))
        if live is None:
            raise ClusterError(404, "gone")
        if live["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            raise ClusterError(409, "stale")
        if live.get("status") != wanted["status"]:
            live["status"] = copy.deepcopy(wanted["status"])
            self.put(live)
        return live

    # --- what users, controllers and nodes do ---

    def put(self, obj: Object) -> Object:
        metadata = obj["metadata"]
        metadata.setdefault("namespace", NAMESPACE)
        metadata.setdefault("uid", f"uid-{next(self._ids)}")
        metadata.setdefault("creationTimestamp", _stamp(self.time))
        metadata.setdefault("generation", 1)
        metadata["resourceVersion"] = str(next(self._ids))
        self.objects[obj["kind"], metadata["namespace"], metadata["name"]] = obj
        self.touched.append((obj["kind"], obj))
        return obj

    def remove(self, kind: str, name: str, namespace: str = NAMESPACE) -> None:
        obj = self.objects.pop((kind, namespace, name))
        self.touched.append((kind, obj))

    def edit(self, name: str = "shoes", annotations: Object | None = None, **spec: Any) -> None:
        """A user changes an agent."""
        obj = self.objects["DLAgent", NAMESPACE, name]
        obj["spec"].update(spec)
        obj["metadata"]["annotations"].update(annotations or {})
        obj["metadata"]["generation"] += 1
        self.put(obj)

    def of_kind(self, kind: str) -> Objects:
        return [obj for obj in self.objects.values() if obj["kind"] == kind]

    def versions(self) -> dict[tuple[str, str, str], str]:
        return {key: obj["metadata"]["resourceVersion"] for key, obj in self.objects.items()}

    def step(self) -> None:
        """Controllers and nodes act once, and a second passes."""
        self._collect_garbage()
        self._end_late_jobs()
        if not self.hold_builds:
            for job in self._jobs("build"):
                self._run_build(job)
        if not self.hold_sweeps:
            for job in self._jobs("store"):
                self._run_sweep(job)
        for deployment in self.of_kind("Deployment"):
            self._run_deployment(deployment)
        self.time += timedelta(seconds=1)

    def _collect_garbage(self) -> None:
        living = {obj["metadata"]["uid"] for obj in self.objects.values()}
        for (kind, namespace, name), obj in list(self.objects.items()):
            owners = {ref["uid"] for ref in obj["metadata"].get("ownerReferences", [])}
            if owners and not owners & living:
                self.remove(kind, name, namespace)

    def _end_late_jobs(self) -> None:
        for job in self.of_kind("Job"):
            deadline = timedelta(seconds=job["spec"]["activeDeadlineSeconds"])
            if not job.get("status") and self.time > observe.created(job) + deadline:
                self._tell_job(job, "Failed", "DeadlineExceeded")

    def _run_build(self, job: Object) -> None:
        if job.get("status") or ("PersistentVolumeClaim", NAMESPACE, names.STORE_NAME) not in (
            self.objects
        ):
            return
        container = job["spec"]["template"]["spec"]["containers"][0]
        env = {item["name"]: item.get("value") for item in container["env"]}
        told = self._build(BuildRequest.model_validate_json(env["DLAGENT_BUILD_REQUEST"] or ""))
        self._end_job(
            job,
            {
                "exitCode": 137 if self.oom_builds else told.exit_code(),
                "reason": "OOMKilled" if self.oom_builds else "Completed",
                "message": "" if self.oom_builds else told.to_message(),
                "finishedAt": _stamp(self.time),
            },
        )

    def _run_sweep(self, job: Object) -> None:
        if job.get("status"):
            return
        arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
        keep = tuple(text.removeprefix("--keep=") for text in arguments if "--keep=" in text)
        grace = timedelta(hours=float(arguments[arguments.index("--grace-hours") + 1]))
        old = {key for key in self.stored if self.time - self.used_at[key] > grace}
        removed = {key for key in old if not key.startswith(keep)}
        self.stored -= removed
        report = SweepReport(removed_count=len(removed), kept_count=len(self.stored))
        message = report.model_dump_json(by_alias=True)
        self._end_job(job, {"exitCode": 0, "reason": "Completed", "message": message})

    def _jobs(self, component: str) -> Objects:
        its = names.COMPONENT_LABEL
        return [job for job in self.of_kind("Job") if job["metadata"]["labels"][its] == component]

    def _end_job(self, job: Object, ended: Object) -> None:
        """Its pod ended, and so did the Job."""
        container = job["spec"]["template"]["spec"]["containers"][0]["name"]
        good = ended["exitCode"] == 0
        pod_metadata = _child(job, f"{job['metadata']['name']}-{next(self._ids)}")
        self.put(
            {
                "kind": "Pod",
                "metadata": pod_metadata,
                "status": {
                    "phase": "Succeeded" if good else "Failed",
                    "containerStatuses": [{"name": container, "state": {"terminated": ended}}],
                },
            }
        )
        reason = {3: "PodFailurePolicy"}.get(ended["exitCode"], "BackoffLimitExceeded")
        self._tell_job(job, "Complete" if good else "Failed", reason)

    def _tell_job(self, job: Object, type_: str, reason: str) -> None:
        at = _stamp(self.time)
        condition = {"type": type_, "status": "True", "reason": reason, "lastTransitionTime": at}
        job["status"] = {"conditions": [condition]}
        self.put(job)

    def _build(self, request: BuildRequest) -> Summary:
        digest = self.files.get(request.source_uri)
        if digest is None:
            return failed(FailureReason.SOURCE_UNAVAILABLE, "the file is not there")
        if request.source_sha256 not in (None, digest):
            return failed(FailureReason.DIGEST_MISMATCH, "the digest is another")
        key = artifact_key(request, digest)
        outcome = Outcome.CACHED if key in self.stored else Outcome.PUBLISHED
        self.stored.add(key)
        self.used_at[key] = self.time
        return summary(key, digest, outcome)

    def _run_deployment(self, deployment: Object) -> None:
        name = deployment["metadata"]["name"]
        pods = [
            pod
            for pod in self.of_kind("Pod")
            if pod["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]
        ]
        wanted = deployment["spec"]["replicas"]
        for pod in pods[wanted:]:
            self.remove("Pod", pod["metadata"]["name"])
        for _ in range(wanted - len(pods)):
            pod_metadata = _child(deployment, f"{name}-{next(self._ids)}")
            pods.append(self.put({"kind": "Pod", "metadata": pod_metadata, "status": {}}))
        for pod in pods[:wanted]:
            status = self._pod_status(deployment, pod)
            if pod["status"] != status:
                pod["status"] = status
                self.put(pod)

    def _pod_status(self, deployment: Object, pod: Object) -> Object:
        loader = deployment["spec"]["template"]["spec"]["initContainers"][0]
        key = loader["args"][loader["args"].index("--key") + 1]
        if key not in self.stored:
            ended = {"exitCode": 21, "message": "model.onnx", "finishedAt": _stamp(self.time)}
            waiting = {"reason": "CrashLoopBackOff"}
            init = {
                "name": "load",
                "state": {"waiting": waiting},
                "lastState": {"terminated": ended},
            }
            return {"phase": "Pending", "initContainerStatuses": [init]}
        if self.broken(deployment):
            ended = {"exitCode": 1, "message": "error: creating server: failed to load all models"}
            triton = {"name": "triton", "state": {"terminated": ended}}
            return {"phase": "Running", "containerStatuses": [triton]}
        return {
            "phase": "Running",
            "podIP": deployment["metadata"]["name"],
            "conditions": [{"type": "Ready", "status": "True", **self._since(pod)}],
        }

    def _since(self, pod: Object) -> Object:
        if self.start_seconds is None:
            return {}
        created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
        ready = created + timedelta(seconds=self.start_seconds)
        return {"lastTransitionTime": _stamp(ready)}


def _child(parent: Object, name: str) -> Object:
    owner = {"kind": parent["kind"], "uid": parent["metadata"]["uid"], "name": name}
    labels = parent["spec"]["template"]["metadata"]["labels"]
    return {"name": name, "namespace": NAMESPACE, "labels": labels, "ownerReferences": [owner]}


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
