"""Reading and writing a DLAgent's status; its types are in dlagent.api.status."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from dlagent.api.conditions import ConditionStatus, ConditionType
from dlagent.api.status import Condition, DLAgentStatus


def parse_status(value: object) -> DLAgentStatus:
    """The status as it was written; an empty one where somebody wrote nonsense there."""
    try:
        return DLAgentStatus.model_validate(value or {})
    except ValidationError:
        return DLAgentStatus()


def status_json(status: DLAgentStatus) -> dict[str, Any]:
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def find_condition(status: DLAgentStatus, type_: ConditionType) -> Condition | None:
    return next((item for item in status.conditions if item.type == type_), None)


def is_true(condition: Condition | None) -> bool:
    return condition is not None and condition.status is ConditionStatus.TRUE


def serving_revision(status: DLAgentStatus) -> str | None:
    return status.serving.revision if status.serving is not None else None


def rejected_revision(status: DLAgentStatus) -> str | None:
    return status.serving.rejected_revision if status.serving is not None else None


def timestamp(moment: datetime) -> str:
    """As Kubernetes writes times: whole seconds, UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
