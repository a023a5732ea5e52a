"""A DLAgent in a file: read as strictly as the apiserver takes it, since no apiserver sees it.

The API types ignore unknown fields and leave rules to the apiserver. A build from a file would so
be that of another agent than the one written, without a word.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from dlagent.api.types import (
    GROUP,
    KIND,
    VERSION,
    ActStep,
    ApiModel,
    Build,
    Distill,
    DLAgentSpec,
    Gate,
    Metric,
    PerceiveStep,
    PrecisionChoice,
    Scaling,
)
from dlagent.cli.errors import CliError

_API_VERSION = f"{GROUP}/{VERSION}"
_TOP = ("apiVersion", "kind", "metadata", "spec", "status")

# An object and the field below it that a rule of the CRD is shown at; None: the object itself.
_At = tuple[type[ApiModel], str | None]
_DATASET: _At = (Build, ".dataset")


def read_agent(file: Path, dataset_apart: bool) -> DLAgentSpec:
    """The spec of the agent in a file; `dataset_apart`: its data set is named elsewhere.

    Raises:
        CliError: no file, no DLAgent, or one that a cluster would not take as it is written.
    """
    content = _content(file)
    given = content.get("spec")
    if not isinstance(given, dict):
        raise CliError(f"{file}: spec: must be set; see docs/reference/dlagent.md")
    try:
        spec = DLAgentSpec.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CliError(f"{file}: spec.{where}: {first['msg']}") from error
    rules = {at: holds for at, holds in _RULES.items() if at != _DATASET or not dataset_apart}
    problem = next(_problems(spec, given, "spec", rules), None)
    if problem is not None:
        raise CliError(f"{file}: {problem}")
    return spec


def _content(file: Path) -> dict[str, Any]:
    """What is in the file, which says that it is a DLAgent."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CliError(f"{file} is not a DLAgent in YAML: it is not UTF-8") from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise CliError(f"{file} is not a DLAgent in YAML: {reason}") from error
    if not isinstance(content, dict):
        raise CliError(f"{file} is not a DLAgent in YAML: it has no fields, such as kind: {KIND}")
    for name, wanted in (("kind", KIND), ("apiVersion", _API_VERSION)):
        if content.get(name) != wanted:
            raise CliError(f"{file}: {name}: must be {wanted}, and is {content.get(name)}")
    for name in content:
        if name not in _TOP:
            raise CliError(f"{file}: {_unknown(str(name), _TOP)}")
    return content


def _problems(
    part: object, given: object, path: str, rules: Mapping[_At, Callable[[Any], bool]]
) -> Iterator[str]:
    """What is unknown in `given`, and what is against the rules in `part`, which was made of it."""
    if isinstance(part, list) and isinstance(given, list):
        for index, (item, its) in enumerate(zip(part, given, strict=True)):
            yield from _problems(item, its, f"{path}[{index}]", rules)
    if not isinstance(part, ApiModel) or not isinstance(given, dict):
        return
    fields = {field.alias or name: name for name, field in type(part).model_fields.items()}
    yield from (_unknown(f"{path}.{name}", tuple(fields)) for name in given if name not in fields)
    for (kind, field), holds in rules.items():
        if isinstance(part, kind) and not holds(part):
            yield f"{path}{field or ''}: {_message(kind, field)}"
    for alias, name in fields.items():
        if alias in given:
            yield from _problems(getattr(part, name), given[alias], f"{path}.{alias}", rules)


def _unknown(path: str, known: tuple[str, ...]) -> str:
    return f"{path}: there is no such field; here can be {', '.join(known)}"


def _message(kind: type[ApiModel], field: str | None) -> str:
    """What the apiserver says of the first rule at this field."""
    extra: Any = kind.model_config["json_schema_extra"]
    rules = extra["x-kubernetes-validations"]
    return next(str(rule["message"]) for rule in rules if rule.get("fieldPath") == field)


def _is_one_step(step: ActStep | PerceiveStep) -> bool:
    return len(step.model_dump(exclude_none=True, exclude={"input", "output"})) == 1


def _needs_dataset(build: Build) -> bool:
    prunes = build.prune is not None and build.prune.channels_percent > 0
    judged = build.gate is not None or build.distill is not None
    changes_types = build.precision in (PrecisionChoice.FP16, PrecisionChoice.INT8)
    return judged or prunes or changes_types


# In Python those rules of the CRD that a build would pass over, and that name no other object.
_RULES: dict[_At, Callable[[Any], bool]] = {
    (PerceiveStep, None): _is_one_step,
    (ActStep, None): _is_one_step,
    (Build, ".dataset.sha256"): lambda its: its.dataset is None or its.dataset.sha256 is not None,
    _DATASET: lambda its: its.dataset is not None or not _needs_dataset(its),
    (Distill, ".student.sha256"): lambda its: its.student is None or its.student.sha256 is not None,
    (Gate, ".k"): lambda its: (its.k is not None) == (its.metric is Metric.TOP_K),
    (Gate, ".maxAbsError"): lambda its: (
        (its.max_abs_error is not None) == (its.metric is Metric.MAX_ABS_ERROR)
    ),
    (Gate, ".maxDropPercent"): lambda its: (
        its.max_drop_percent is None or its.metric is not Metric.MAX_ABS_ERROR
    ),
    (Scaling, ".maxReplicas"): lambda its: its.min_replicas <= its.max_replicas,
}
