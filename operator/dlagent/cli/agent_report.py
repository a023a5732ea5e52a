"""The report of the artifact that an agent serves, out of the cluster. Called by `dlagent report`.

The store is a volume that only pods see. The loader of a serving pod has read report.json there and
printed it, so that reading a log is all the right that is needed: docs/explanation/decisions.md.
"""

from pathlib import Path
from typing import Any

from dlagent.api import names
from dlagent.api.conditions import ConditionType
from dlagent.cli.endpoints import find_agent, find_cluster
from dlagent.cli.errors import CliError
from dlagent.domain.artifact.report import Report, ReportError, parse_report
from dlagent.domain.artifact.report_line import MOST_BYTES, report_in
from dlagent.domain.status.model import find_condition, parse_status

_LOADER = "load"
_LOG_BYTES = 2 * MOST_BYTES  # what base64 makes of it, and more


def fetch_report(agent: str, namespace: str | None, kubeconfig: Path | None) -> Report:
    """What the build of the agent's artifact reported.

    Raises:
        CliError: no cluster, no such agent, nothing built yet, or nothing that has loaded it.
    """
    api, default_namespace = find_cluster(kubeconfig)
    namespace = namespace or default_namespace
    key = _artifact(find_agent(api, namespace, agent), agent, namespace)
    content = _printed(api, namespace, agent, key)
    try:
        report = parse_report(content)
    except ReportError as error:
        raise CliError(f"the report of agent {agent}: {error}") from error
    if report.key != key:
        raise CliError(f"the loader of agent {agent} printed the report of another artifact")
    return report


def _artifact(found: Any, agent: str, namespace: str) -> str:
    """The key of its artifact."""
    status = parse_status(found.get("status"))
    if status.artifact is not None:
        return status.artifact.key
    ready = find_condition(status, ConditionType.READY)
    why = "is the operator running?" if ready is None else f"{ready.reason}: {ready.message}"
    raise CliError(
        f"agent {agent} has no artifact yet: {why}\n"
        f"watch it with: kubectl get dlagent {agent} -n {namespace} -w"
    )


def _printed(api: Any, namespace: str, agent: str, key: str) -> bytes:
    """The report.json that a loader of this artifact has printed."""
    from kubernetes import client  # over a second to import: only where it is needed
    from urllib3.exceptions import HTTPError

    core = client.CoreV1Api(api)
    selector = f"{names.COMPONENT_LABEL}=serving,{names.NAME_LABEL}={agent}"
    try:
        pods: list[Any] = core.list_namespaced_pod(namespace, label_selector=selector).items
        loaded = [pod.metadata.name for pod in pods if _has_loaded(pod, key)]
        for name in loaded:
            log = core.read_namespaced_pod_log(
                name, namespace, container=_LOADER, limit_bytes=_LOG_BYTES
            )
            if (content := report_in(log)) is not None:
                return content
    except client.ApiException as error:
        raise CliError(_refusal(error, namespace)) from error
    except HTTPError as error:
        raise CliError(f"the cluster does not answer: {error}") from error
    raise CliError(_nothing(agent, namespace, key, bool(loaded)))


def _has_loaded(pod: Any, key: str) -> bool:
    """Its loader was for this artifact, and came to a good end."""
    wanted = any(
        container.name == _LOADER and key in (container.args or [])
        for container in pod.spec.init_containers or []
    )
    return wanted and any(
        each.name == _LOADER and each.state.terminated and each.state.terminated.exit_code == 0
        for each in pod.status.init_container_statuses or []
    )


def _refusal(error: Any, namespace: str) -> str:
    text = f"the cluster refused: {error.reason}"
    if error.status == 403:
        text += (
            f"; `dlagent report` lists pods and reads their logs in namespace {namespace}"
            " (resources pods and pods/log), which the ClusterRole view allows"
        )
    return text


def _nothing(agent: str, namespace: str, key: str, loaded: bool) -> str:
    if loaded:
        return (
            f"the pods of agent {agent} have printed no report: an older DLAgent started them."
            f" Restart them: kubectl annotate dlagent {agent} -n {namespace} --overwrite"
            " dlagent.io/restartedAt=now"
        )
    return (
        f"no pod of agent {agent} has loaded artifact {key[:12]} yet, and only those print its"
        " report; try again when one runs. The most telling candidates are in its status:"
        f" kubectl get dlagent {agent} -n {namespace} -o yaml"
    )
