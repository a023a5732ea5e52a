"""The scripts of Python steps, from the ConfigMaps that a spec names.

Called by dlagent.reconcile.gather at each visit. ConfigMaps of users carry no label of ours, so the
watches do not show them, and the operator keeps no copy of all that a cluster has of them.
"""

from dataclasses import dataclass

from pydantic import ValidationError

from dlagent.api.types import ConfigMapKey, DLAgentSpec
from dlagent.domain.artifact.python_steps import (
    PERCEIVE_FIELD,
    script_references,
    script_size_problem,
)
from dlagent.domain.artifact.request import Scripts
from dlagent.reconcile.ports import ConfigMaps, Object


@dataclass(frozen=True)
class FoundScripts:
    """The scripts of an agent; `problem` says, for a person, why there is none."""

    scripts: Scripts
    problem: str | None = None


async def read_scripts(obj: Object, config_maps: ConfigMaps) -> FoundScripts:
    """The scripts that a DLAgent names.

    Raises:
        ClusterError: the cluster did not answer.
    """
    try:
        spec = DLAgentSpec.model_validate(obj.get("spec") or {})
    except ValidationError:
        return FoundScripts(Scripts())  # `read_agent` says what is wrong
    texts: dict[str, str] = {}
    for field, reference in script_references(spec).items():
        namespace = obj["metadata"]["namespace"]
        found = await config_maps.read("ConfigMap", namespace, reference.name)
        problem, text = script_in(found, reference)
        if problem is not None:
            return FoundScripts(Scripts(), f"{field}: {problem}")
        texts[field] = text
    act = next((text for field, text in texts.items() if field != PERCEIVE_FIELD), None)
    return FoundScripts(Scripts(perceive=texts.get(PERCEIVE_FIELD), act=act))


def script_in(config_map: Object | None, reference: ConfigMapKey) -> tuple[str | None, str]:
    """What is wrong with a script, for a person, or None; and its text."""
    if config_map is None:
        return (
            f"there is no ConfigMap {reference.name}. Create it: kubectl create configmap"
            f" {reference.name} --from-file={reference.key}.",
            "",
        )
    text = (config_map.get("data") or {}).get(reference.key)
    if text is None and reference.key in (config_map.get("binaryData") or {}):
        return f"key {reference.key} of ConfigMap {reference.name} is not UTF-8. Save it so.", ""
    if text is None:
        return (
            f"ConfigMap {reference.name} has no key {reference.key}. Add it, or name one that it"
            " has.",
            "",
        )
    problem = script_size_problem(text)
    if problem is not None:
        return f"key {reference.key} of ConfigMap {reference.name} {problem}.", ""
    return None, text
