"""The report of what serves gets to a reader who may do no more than look."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from dlagent.cli.agent_report import fetch_report
from dlagent.cli.errors import CliError
from dlagent.domain.artifact.report import Report
from harness import Agent, eventually
from models import scaling_model, write
from rooms import Room
from tests.unit.report import examples

READER = "reader"


@pytest.fixture
def agent(room: Room) -> Agent:
    write(room.models, "model.onnx", scaling_model(2))
    made = room.agent()
    made.apply(room.spec())
    made.wait_ready()
    return made


def may_look(room: Room, folder: Path, *rules: dict[str, list[str]]) -> Path:
    """The kubeconfig of an account that may do this and nothing else."""
    room.kubectl.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": READER}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": READER},
            "rules": list(rules),
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": READER},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": READER,
            },
            "subjects": [{"kind": "ServiceAccount", "name": READER}],
        },
    )
    token = room.kubectl("create", "token", READER).strip()
    config = yaml.safe_load(room.kubectl.kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file


AGENTS = {"apiGroups": ["dlagent.io"], "resources": ["dlagents"], "verbs": ["get"]}
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
LOGS = {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}


def tell(room: Room, agent: Agent) -> Report:
    """Put a report of several candidates beside the artifact, as a build of them would."""
    key = agent.get()["status"]["artifact"]["key"]
    store = room.cluster.volume_path(room.kubectl.namespace, "dlagent-artifacts")
    folder = store / "artifacts" / key
    report = examples.report().model_copy(update={"key": key})
    content = report.to_json().encode()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"]["report.json"] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "sizeBytes": len(content),
    }
    for name, data in (("report.json", content), ("manifest.json", json.dumps(manifest).encode())):
        (folder / name).chmod(0o644)
        (folder / name).write_bytes(data)
    for pod in agent.serving_pods():
        room.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
    return report


def test_a_reader_who_may_read_logs_gets_the_report(
    room: Room, agent: Agent, tmp_path: Path
) -> None:
    kubeconfig = may_look(room, tmp_path, AGENTS, PODS, LOGS)
    expected = tell(room, agent)

    def fetch() -> Report | str:
        try:
            return fetch_report(agent.name, room.kubectl.namespace, kubeconfig)
        except CliError as error:
            return str(error)  # as long as the new pod has not loaded the artifact

    assert expected == eventually(fetch, lambda found: found == expected, what="the report")


def test_a_reader_who_may_not_is_told_what_is_needed(
    room: Room, agent: Agent, tmp_path: Path
) -> None:
    kubeconfig = may_look(room, tmp_path, AGENTS, PODS)

    with pytest.raises(CliError, match=r"Forbidden; .*pods/log"):
        fetch_report(agent.name, room.kubectl.namespace, kubeconfig)
