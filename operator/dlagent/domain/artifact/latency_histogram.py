"""Triton's histogram of latencies: which versions have it, and where its buckets end.

The threshold of the promise is one of the edges, so that the requests within it are counted, not
estimated. dlagent.reconcile.apply puts the edges into the model's configuration,
dlagent.manifests.deployment asks Triton for histograms, dlagent.adapters.prometheus reads them.
Source: docs/user_guide/metrics.md of triton-inference-server/server, and its pull request 8580,
since which the histogram is there for ordinary models too; before, for decoupled ones only.
"""

import re

FAMILY = "nv_inference_first_response_histogram_ms"
_SINCE_RELEASE, _SINCE_SERVER = (26, 1), (2, 65)  # the same, by the container's and its own number
_VERSION = re.compile(r"(\d+)\.(\d+)")
# Of the threshold. Beside 1 for whoever looks at the buckets in Prometheus.
_EDGES = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)


def has_histograms(triton_version: str) -> bool:
    """Whether a Triton has them for every model; a version that cannot be read is an old one.

    Takes the number of the container ("26.02") or of the server ("2.66.0").
    """
    found = _VERSION.match(triton_version)
    if found is None:
        return False
    version = int(found[1]), int(found[2])
    return version >= (_SINCE_SERVER if version[0] == _SINCE_SERVER[0] else _SINCE_RELEASE)


def edges_milliseconds(threshold_milliseconds: int) -> tuple[float, ...]:
    """The upper ends of the buckets, rising; Triton adds an infinite one."""
    return tuple(share * threshold_milliseconds for share in _EDGES)
