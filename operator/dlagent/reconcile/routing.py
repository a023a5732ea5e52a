"""Which agents an event concerns. Called by the handlers for each event of each watched kind."""

from dlagent.api import names
from dlagent.api.types import KIND
from dlagent.reconcile.ports import ClusterReader, Key, Object


def keys_for(kind: str, obj: Object, reader: ClusterReader) -> list[Key]:
    """The agents to visit after `obj` of this kind appeared, changed or went.

    What belongs to one agent names it by a label. Builds, and all that is of the namespace's
    store, may concern every agent of the namespace; these events are rare.
    """
    metadata = obj["metadata"]
    namespace = metadata["namespace"]
    if kind == KIND:
        return [Key(namespace, metadata["name"])]
    labels = metadata.get("labels") or {}
    agent = labels.get(names.NAME_LABEL)
    if agent is not None:
        return [Key(namespace, agent)]
    if labels.get(names.COMPONENT_LABEL) in ("build", "store"):
        return [Key(*key) for key in reader.keys(KIND) if key[0] == namespace]
    return []
