"""Does a live object already hold all that we would apply? If so, nothing is written.

The rule follows server-side apply: what we do not name belongs to others and is left alone; lists
that the API merges by a key are compared by that key; lists and maps that it replaces as a whole
must be equal. A difference that an apply would not remove must not count, or we would write for
ever. Read by dlagent.reconcile.apply.
"""

from typing import Any

from dlagent.api.quantity import quantity

# Lists that server-side apply merges, and the field that names an element.
_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "ownerReferences": "uid",
}
# Maps that server-side apply replaces as a whole.
_ATOMIC_MAPS = frozenset({"matchLabels", "nodeSelector"})
# Fields below which a leaf is a quantity ("1" is "1000m").
_QUANTITIES = frozenset({"requests", "limits", "sizeLimit"})


def contains(live: object, desired: object) -> bool:
    """True if applying `desired` would change nothing of `live`."""
    return _contains(live, desired, field="", in_quantities=False)


def _contains(live: object, desired: object, field: str, in_quantities: bool) -> bool:
    in_quantities = in_quantities or field in _QUANTITIES
    # Asked by the types of JSON: the abstract ones take twice as long.
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            return live is None and not desired  # the apiserver drops empty maps, lists and nulls
        return _map_contains(live, desired, field, in_quantities)
    if isinstance(desired, list):
        if not isinstance(live, list):
            return live is None and not desired
        return _list_contains(live, desired, field)
    if field == "value" and desired == "" and live is None:
        return True  # of a variable, which the apiserver drops as well
    if in_quantities and quantity(desired) is not None:
        return quantity(live) == quantity(desired)
    return type(live) is type(desired) and live == desired


def _map_contains(
    live: dict[str, Any], desired: dict[str, Any], field: str, in_quantities: bool
) -> bool:
    # A Service's selector is a plain map; that of others is a structure, compared by its parts.
    plain_selector = field == "selector" and "matchLabels" not in desired
    if (field in _ATOMIC_MAPS or plain_selector) and live.keys() != desired.keys():
        return False
    return all(
        _contains(live.get(key), value, key, in_quantities) for key, value in desired.items()
    )


def _list_contains(live: list[Any], desired: list[Any], field: str) -> bool:
    merge_key = _MERGE_KEYS.get(field)
    if merge_key is None:
        return len(live) == len(desired) and all(
            _contains(have, want, "", in_quantities=False)
            for have, want in zip(live, desired, strict=True)
        )
    by_key = {item.get(merge_key): item for item in live if isinstance(item, dict)}
    return all(
        _contains(by_key.get(want[merge_key]), want, "", in_quantities=False) for want in desired
    )
