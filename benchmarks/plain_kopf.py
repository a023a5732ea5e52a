"""The baseline of `operator_scale`: an operator as kopf's documentation teaches to write one.

Indexes of what an agent owns, one handler for create, update and resume, a timer for each agent.
It makes the same children by the same manifests and the same client as the product, and does less
otherwise: no build, no self-check, no roll-out, no question to Prometheus, no repair of drift. It
writes nothing that is there already. `kopf run` runs it; for each agent that was handled it prints
a line.
"""

from typing import Any

import kopf

from benchmarks.scale.operators import settings
from dlagent.adapters.api import APPLY, Api, connect
from dlagent.adapters.kinds import AGENT, BY_KIND
from dlagent.api.names import NAME_LABEL
from dlagent.api.types import DLAgentSpec
from dlagent.domain.artifact.ensemble import Configs
from dlagent.manifests import network
from dlagent.manifests.common import Object, Owner
from dlagent.manifests.deployment import Revision, deployment
from dlagent.runtime.settings import Settings

TIMER_SECONDS = 10
REVISION = "0" * 16
_SETTINGS = Settings.model_validate(settings("http://nowhere"))


@kopf.on.startup()
async def connect_client(memo: kopf.Memo, **_: Any) -> None:
    """One client for all writes."""
    memo.api = Api(await connect(None), lambda *_: None)


@kopf.index("pods", labels={NAME_LABEL: kopf.PRESENT})
def pods(body: kopf.Body, **_: Any) -> object:
    """Whether each pod of an agent is ready."""
    conditions = body.status.get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return {_agent_of(body): ready}


@kopf.index("apps", "v1", "deployments", labels={NAME_LABEL: kopf.PRESENT})
def deployments(body: kopf.Body, **_: Any) -> object:
    """The Deployments of an agent."""
    return {_agent_of(body): body.metadata.name}


@kopf.on.create("dlagent.io", "v1alpha1", "dlagents")
@kopf.on.update("dlagent.io", "v1alpha1", "dlagents")
@kopf.on.resume("dlagent.io", "v1alpha1", "dlagents")
async def reconcile(body: kopf.Body, patch: kopf.Patch, memo: kopf.Memo, **kwargs: Any) -> None:
    """Make the children where they are not, and say so in the status."""
    namespace, name = str(body.metadata.namespace), str(body.metadata.name)
    if not kwargs["deployments"].get((namespace, name)):
        for child in _children(body):
            await _apply(memo.api, child)
    generation = body.metadata.get("generation")
    if body.status.get("observedGeneration") != generation:
        patch.status["observedGeneration"] = generation
    print("handled", name, flush=True)


@kopf.timer("dlagent.io", "v1alpha1", "dlagents", interval=TIMER_SECONDS)
async def look(body: kopf.Body, patch: kopf.Patch, **kwargs: Any) -> None:
    """What a scaler would begin with: how many pods of the agent are ready."""
    key = (body.metadata.namespace, body.metadata.name)
    ready = sum(kwargs["pods"].get(key, []))
    if body.status.get("readyReplicas", 0) != ready:
        patch.status["readyReplicas"] = ready


def _agent_of(body: kopf.Body) -> tuple[str | None, str]:
    return body.metadata.namespace, body.metadata.labels[NAME_LABEL]


def _children(body: kopf.Body) -> list[Object]:
    """As many objects as the product makes of an agent, by the same manifests."""
    metadata = body.metadata
    owner = Owner(str(metadata.namespace), str(metadata.name), str(metadata.uid))
    serving = DLAgentSpec.model_validate(dict(body.spec)).serving
    profile = _SETTINGS.runtimes["triton"]
    revision = Revision(REVISION, "0" * 64, 2020, Configs(""))
    return [
        network.service_account(owner),
        network.network_policy(owner),
        network.headless_service(owner),
        network.disruption_budget(owner),
        network.service(owner, REVISION),
        deployment(
            owner,
            revision,
            serving,
            profile,
            _SETTINGS.builder,
            _SETTINGS.drain,
            _SETTINGS.artifacts,
        ),
    ]


async def _apply(api: Api, obj: Object) -> None:
    info = BY_KIND[obj["kind"]]
    path = info.path(obj["metadata"]["namespace"], obj["metadata"]["name"])
    query = {"fieldManager": AGENT.group, "force": "true"}
    await api.json("apply", info, path, query=query, body=obj, content_type=APPLY)
