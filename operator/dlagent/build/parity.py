"""Stage 5: does the fused model give what the source gives, with the steps in plain numpy?

The tolerance is that of single precision after another order of additions: a value may be off by
RELATIVE of itself plus ABSOLUTE of the largest value of its tensor. An index is right where the
score at that place is as good, within the tolerance, as the one that the reference chose.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dlagent.build.failure import BuildError
from dlagent.build.fuse import Fused
from dlagent.build.network import Network, concrete
from dlagent.build.runtime import Array, RunError, Session
from dlagent.build.steps.base import Step
from dlagent.domain.artifact.selfcheck import golden_input
from dlagent.domain.artifact.summary import FailureReason

RELATIVE = 1e-3
ABSOLUTE = 1e-4
_BATCHES = (1, 3)

# The network's inputs in order, to its outputs in order.
Run = Callable[[list[Array]], list[Array]]


def check_parity(source: Run, network: Network, fused: Fused, session: Session) -> float:
    """The largest difference seen, as a share of the largest value of its tensor.

    Raises:
        BuildError: ParityFailed.
    """
    worst = 0.0
    for batch in _BATCHES if network.batched else (None,):
        feed = {
            tensor.name: golden_input("parity", concrete(tensor, batch, network.free_size))
            for tensor in fused.interface.inputs
        }
        expected, scores = _reference(source, network, fused, feed)
        try:
            seen = session.run(feed)
        except RunError as error:
            raise _failed(f"the fused model does not run: {error}") from error
        for tensor, wanted in zip(fused.interface.outputs, expected, strict=True):
            worst = max(worst, _difference(tensor.name, seen[tensor.name], wanted, scores))
    return worst


def _reference(
    source: Run, network: Network, fused: Fused, feed: Mapping[str, Array]
) -> tuple[list[Array], Array | None]:
    """The expected outputs, and what the last act step chose from, if there is one."""
    inputs = []
    for given, wanted in zip(fused.interface.inputs, network.inputs, strict=True):
        value = feed[given.name]
        if not wanted.shape and not fused.perceive:
            value = value.reshape(value.shape[:1] if network.batched else ())
        inputs.append(_apply(fused.perceive, value, network.batched)[0])
    outputs = source(inputs)
    scores = None
    if fused.act:
        chosen_from = _apply(fused.act[:-1], outputs[0], network.batched)
        scores = chosen_from[0]
        outputs = fused.act[-1].reference(scores, network.batched)
    front = 1 if network.batched else 0
    return [o.reshape([*o.shape, 1]) if o.ndim == front else o for o in outputs], scores


def _apply(steps: Sequence[Step], value: Array, batched: bool) -> list[Array]:
    values = [value]
    for step in steps:
        values = step.reference(values[0], batched)
    return values


def _difference(name: str, seen: Array, wanted: Array, scores: Array | None) -> float:
    if seen.shape != wanted.shape:
        raise _failed(f"the output {name} has shape {seen.shape} instead of {wanted.shape}")
    if wanted.dtype.kind != "f":
        if np.array_equal(seen, wanted):
            return 0.0
        if scores is None:
            raise _failed(f"the output {name} differs")
        seen = np.take_along_axis(scores, seen.astype(np.int64), axis=-1)
        wanted = np.take_along_axis(scores, wanted.astype(np.int64), axis=-1)
    seen64, wanted64 = seen.astype(np.float64), wanted.astype(np.float64)
    finite = np.isfinite(wanted64)
    largest = float(np.max(np.abs(wanted64), initial=0.0, where=finite)) or 1.0
    same = np.isclose(seen64, wanted64, rtol=RELATIVE, atol=ABSOLUTE * largest, equal_nan=True)
    error = float(np.max(np.abs(seen64 - wanted64), initial=0.0, where=finite)) / largest
    if not same.all():
        raise _failed(
            f"the output {name} differs from the source by {error:.1e} of its largest value"
        )
    return error


def _failed(message: str) -> BuildError:
    return BuildError(
        FailureReason.PARITY_FAILED,
        f"{message}; the exporter or the runtime changes this model: export it to ONNX by"
        " yourself and compare, or report it",
    )
