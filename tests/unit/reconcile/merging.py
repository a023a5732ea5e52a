"""Server-side apply as the fake cluster has it: lists are merged by the key of their items."""

import copy
from typing import Any

_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ownerReferences": "uid",
}
_ATOMIC = {"matchLabels", "nodeSelector"}


def merged(live: Any, wanted: Any, field: str) -> Any:
    if isinstance(live, dict) and isinstance(wanted, dict):
        if field in _ATOMIC or (field == "selector" and "matchLabels" not in wanted):
            return copy.deepcopy(wanted)
        changed = {key: merged(live.get(key), value, key) for key, value in wanted.items()}
        return {**copy.deepcopy(live), **changed}
    merge_key = _MERGE_KEYS.get(field)
    if merge_key and isinstance(live, list) and isinstance(wanted, list):
        by_key = {item[merge_key]: item for item in live}
        mine = [merged(by_key.get(item[merge_key]), item, "") for item in wanted]
        others = [item for item in live if item[merge_key] not in {i[merge_key] for i in wanted}]
        return mine + copy.deepcopy(others)
    return copy.deepcopy(wanted)
