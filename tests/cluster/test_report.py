"""The report of what serves gets to a reader who may do no more than look."""

from pathlib import Path

import pytest
import yaml

from dlagent.cli.agent_report import fetch_report
from dlagent.cli.errors import CliError
from dlagent.domain.artifact.report import Report, parse_report
from harness import Agent
from models import scaling_model, write
from rooms import Room

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


def published(room: Room, agent: Agent) -> Report:
    """The report that lies beside the artifact."""
    key = agent.get()["status"]["artifact"]["key"]
    store = room.cluster.volume_path(room.kubectl.namespace, "dlagent-artifacts")
    return parse_report((store / "artifacts" / key / "report.json").read_bytes())


def test_a_reader_who_may_read_logs_gets_the_report(
    room: Room, agent: Agent, tmp_path: Path
) -> None:
    kubeconfig = may_look(room, tmp_path, AGENTS, PODS, LOGS)

    found = fetch_report(agent.name, room.kubectl.namespace, kubeconfig)

    assert published(room, agent) == found
    assert "fp32" in {each.name for each in found.candidates}


def test_a_reader_who_may_not_is_told_what_is_needed(
    room: Room, agent: Agent, tmp_path: Path
) -> None:
    kubeconfig = may_look(room, tmp_path, AGENTS, PODS)

    with pytest.raises(CliError, match=r"Forbidden; .*pods/log"):
        fetch_report(agent.name, room.kubectl.namespace, kubeconfig)
