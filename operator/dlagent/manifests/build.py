"""The Job that builds an artifact, and what its pod may reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlagent.api import names
from dlagent.api.types import DLAgentSpec, Resources, Scheme
from dlagent.domain.artifact.accelerator import build_placement
from dlagent.domain.artifact.request import BuildRequest, read_uris
from dlagent.domain.build.containers import BUILD, FETCH, IN_ORDER, PUBLISH
from dlagent.manifests import trial_server
from dlagent.manifests.common import (
    Object,
    Owner,
    container_security,
    owned_metadata,
    placement,
    pod_security,
    resources,
)
from dlagent.manifests.egress import outward
from dlagent.manifests.settings import Builder, Egress, Profile, Store
from dlagent.manifests.store import Access, access

# Exit code of the builder where trying again cannot help.
TERMINAL_EXIT_CODE = 3
_RETRIES = 3
OPTIONS_ANNOTATION = "dlagent.io/build-options"  # what of spec.build the Job was made from
NETWORK_POLICY_NAME = "dlagent-build"
EGRESS_POLICY_NAME = "dlagent-build-sources"
CREDENTIALS = "/credentials"
_FETCHED, _OUTPUT = "fetched", "output"  # handed from one container to the next
# Each has its own: libraries that reach sources may leave there what they know.
_FETCH_SCRATCH, _SCRATCH = "fetch-scratch", "scratch"
_SCRATCH_PATH = "/scratch"


@dataclass(frozen=True)
class _Sources:
    """What a container needs to reach the sources of a build."""

    mounts: list[Object]
    volumes: list[Object]
    variables: list[Object]


def job_name(build_id: str) -> str:
    return f"dlagent-build-{build_id}"


def _labels() -> dict[str, str]:
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.PART_OF_LABEL: "dlagent",
        names.COMPONENT_LABEL: "build",
    }


def job(
    owner: Owner,
    build_id: str,
    request: BuildRequest,
    spec: DLAgentSpec,
    options: str,
    builder: Builder,
    profile: Profile,
    store: Store,
) -> Object:
    """The build Job. Its name is a function of the build, so that equal agents share one.

    `options` is kept as an annotation: a Job made from other options is replaced. `profile` is the
    runtime that will serve, on which the build measures.
    """
    labels = _labels() | {names.BUILD_LABEL: build_id}
    annotations = dict(builder.pod_annotations)
    if needs_network(request):
        labels[names.NETWORK_LABEL] = names.NETWORK_SOURCES
    elif store.url is None:
        annotations |= builder.isolated_pod_annotations
    metadata = owned_metadata(owner, job_name(build_id), labels)
    # Not the controller: another agent of the namespace may wait for the same Job.
    metadata["ownerReferences"][0]["controller"] = False
    metadata["annotations"] = {OPTIONS_ANNOTATION: options}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": _RETRIES,
            "activeDeadlineSeconds": spec.build.timeout_minutes * 60,
            "podFailurePolicy": _failure_policy(),
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": _pod(owner.namespace, request, spec, builder, profile, store),
            },
        },
    }


def _failure_policy() -> Object:
    return {
        "rules": [
            {  # a drained node or a preempted pod says nothing about the build
                "action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
            },
            *(
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": name,
                        "operator": "In",
                        "values": [TERMINAL_EXIT_CODE],
                    },
                }
                for name in IN_ORDER
            ),
        ]
    }


def _pod(
    namespace: str,
    request: BuildRequest,
    spec: DLAgentSpec,
    builder: Builder,
    profile: Profile,
    store: Store,
) -> Object:
    """Containers that run one after the other: dlagent.build.containers says who may do what."""
    held = access(namespace, store, read_only=False)
    sources = _sources(request, spec)
    wanted = spec.build.resources or builder.resources

    def container(own: Object) -> Object:
        return _container(own, request, builder, wanted)

    triton = trial_server.trial_server(profile, wanted, spec.serving.accelerator)
    shared = (_FETCHED, _OUTPUT, _FETCH_SCRATCH, _SCRATCH)
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        **placement(build_placement(spec, request.target.simulated is not None)),
        "initContainers": [
            container(_fetch(held, sources)),
            triton,
            container(_work(spec.build.image)),
        ],
        "containers": [container(_publish(held))],
        "volumes": [
            *held.volumes,
            *sources.volumes,
            *({"name": name, "emptyDir": {}} for name in shared),
            *trial_server.VOLUMES,
        ],
    }


def _fetch(held: Access, sources: _Sources) -> Object:
    return {
        "name": FETCH,
        "args": ["--store", held.location],
        "env": _room(),
        "envFrom": [*_of_store(held, "envFrom"), *sources.variables],
        "volumeMounts": [
            *_of_store(held, "volumeMounts"),
            *sources.mounts,
            _mount(_FETCHED),
            {"name": _FETCH_SCRATCH, "mountPath": _SCRATCH_PATH},
        ],
    }


def _work(image: str | None) -> Object:
    """The only one with an image that the agent names: it may bring code of its own."""
    return {
        "name": BUILD,
        **({"image": image} if image is not None else {}),
        "args": ["--trials", str(trial_server.FOLDER)],
        "env": _room(),
        "volumeMounts": [
            _mount(_FETCHED, readOnly=True),
            _mount(_OUTPUT),
            {"name": _SCRATCH, "mountPath": _SCRATCH_PATH},
            dict(trial_server.MOUNT),
        ],
    }


def _publish(held: Access) -> Object:
    return {
        "name": PUBLISH,
        "args": ["--store", held.location],
        "env": [],
        "envFrom": _of_store(held, "envFrom"),
        "volumeMounts": [
            *_of_store(held, "volumeMounts"),
            _mount(_FETCHED, readOnly=True),
            _mount(_OUTPUT, readOnly=True),
        ],
    }


def _container(own: Object, request: BuildRequest, builder: Builder, wanted: Resources) -> Object:
    """A container of the build: what is its own, and what all have in common."""
    text = request.model_dump_json(by_alias=True, exclude_none=True)
    return {
        "image": builder.image,
        "imagePullPolicy": builder.image_pull_policy,
        **{key: value for key, value in own.items() if value},
        "args": ["python", "-m", "dlagent.build", own["name"], *own["args"]],
        "env": [{"name": "DLAGENT_BUILD_REQUEST", "value": text}, *own["env"]],
        "resources": resources(wanted),
        "securityContext": container_security(),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _of_store(held: Access, kind: str) -> list[Object]:
    """What a container needs to get at the store: its volumeMounts or envFrom."""
    return [dict(item) for item in held.container.get(kind, [])]


def _room() -> list[Object]:
    """Variables of a container that has room for what libraries write."""
    return [{"name": name, "value": _SCRATCH_PATH} for name in ("TMPDIR", "HOME")]


def _mount(folder: str, **options: bool) -> Object:
    """A folder that containers of the build share, under its own name."""
    return {"name": folder, "mountPath": f"/{folder}", **options}


def _sources(request: BuildRequest, spec: DLAgentSpec) -> _Sources:
    mounts: list[Object] = []
    volumes: list[Object] = []
    for number, claim in enumerate(source_claims(request)):
        name = f"source-{number}" if number else "source"
        mounts.append({"name": name, "mountPath": f"/sources/{claim}", "readOnly": True})
        volumes.append(
            {"name": name, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
        )
    secrets = source_secrets(spec)
    if secrets:
        mounts.append({"name": "credentials", "mountPath": CREDENTIALS, "readOnly": True})
        files = [{"secret": {"name": name, "optional": True}} for name in secrets]
        volumes.append({"name": "credentials", "projected": {"sources": files}})
    # A Secret that is missing stops the container with a reason that names it; a volume that is not
    # optional would stop the pod before, without one.
    variables: list[Object] = [{"secretRef": {"name": name}} for name in secrets]
    return _Sources(mounts, volumes, variables)


def source_volume(uri: str) -> str | None:
    """The claim of a `pvc://claim/path` source; None for every other scheme."""
    scheme, separator, rest = uri.partition("://")
    return rest.partition("/")[0] if separator and scheme == Scheme.PVC else None


def source_claims(request: BuildRequest) -> list[str]:
    """The claims that hold the source, the data set and the student, each once."""
    claims = [source_volume(uri) for uri in read_uris(request)]
    return list(dict.fromkeys(claim for claim in claims if claim is not None))


def source_secrets(spec: DLAgentSpec) -> list[str]:
    """The Secrets with the credentials of the source, the data set and the student, each once."""
    student = spec.build.distill.student if spec.build.distill is not None else None
    sources = (spec.model.source, spec.build.dataset, student)
    named = [s.secret_ref.name for s in sources if s is not None and s.secret_ref is not None]
    return list(dict.fromkeys(named))


def needs_network(request: BuildRequest) -> bool:
    """Whether the build reads from anywhere but mounted volumes."""
    return any(source_volume(uri) is None for uri in read_uris(request))


def network_policy(namespace: str) -> Object:
    """Nobody may reach build pods of the namespace, and they reach nothing.

    Where source and store are mounted volumes nothing else is needed. `egress_policy` adds to it
    for sources on the network, and the store's own policy for a store in an object store.
    """
    return _policy(
        namespace,
        NETWORK_POLICY_NAME,
        {},
        {"policyTypes": ["Ingress", "Egress"]},
    )


def egress_policy(namespace: str, named: Sequence[Egress]) -> Object:
    """What build pods with a source on the network may reach.

    That is the cluster's DNS, HTTPS at public addresses, and what the settings name.
    """
    return _policy(
        namespace,
        EGRESS_POLICY_NAME,
        {names.NETWORK_LABEL: names.NETWORK_SOURCES},
        {"policyTypes": ["Egress"], "egress": outward(named)},
    )


def _policy(namespace: str, name: str, labels: Mapping[str, str], rules: Object) -> Object:
    selector = {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.COMPONENT_LABEL: "build",
        **labels,
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "labels": _labels()},
        "spec": {"podSelector": {"matchLabels": selector}, **rules},
    }
