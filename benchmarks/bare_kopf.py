"""The baseline of `steady_state`: the least that kopf can do, watching the same agents."""

from typing import Any

import kopf


@kopf.on.event("dlagent.io", "v1alpha1", "dlagents")
def ignore(**_: Any) -> None:
    """See every agent, and do nothing."""
