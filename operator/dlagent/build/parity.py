"""Stage 5: does the fused model give what the source gives, with the steps in plain numpy?

The tolerance is that of single precision after another order of additions, unless the caller says
otherwise. What was chosen (an index, a
label, a truth value) is right where the score that it stands for is as good, within the tolerance,
as the one that the reference chose.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dlagent.build import chain
from dlagent.build.chain import Compare
from dlagent.build.failure import BuildError
from dlagent.build.fuse import Fused
from dlagent.build.network import Network, concrete, sample
from dlagent.build.runtime import Answering, Array, RunError, Session
from dlagent.domain.artifact.selfcheck import golden_input
from dlagent.domain.artifact.summary import FailureReason


@dataclass(frozen=True)
class Tolerance:
    """What a value may be off by: a share of itself, and one of the largest of its tensor."""

    relative: float
    absolute_share: float


SINGLE = Tolerance(1e-3, 1e-4)
_BATCHES = (1, 3)

# The network's inputs in order, to its outputs in order.
Run = Callable[[list[Array]], list[Array]]


def check_parity(
    source: Run,
    network: Network,
    fused: Fused,
    session: Answering,
    tolerance: Tolerance = SINGLE,
    batches: Sequence[int] = _BATCHES,
) -> float:
    """The largest difference seen, as a share of the largest value of its tensor.

    `batches` are the numbers of rows to compare, where there is a batch axis.

    Raises:
        BuildError: ParityFailed; InvalidModel, where the source's answers are no numbers.
    """
    worst, finite = 0.0, False
    for batch in batches if network.batched else (None,):
        feed = {
            tensor.name: golden_input("parity", concrete(tensor, batch, network.free_size))
            for tensor in fused.interface.inputs
        }
        taken = _taken(network, fused, feed)
        answers = source(list(taken.values()))
        finite = finite or _has_number(answers)
        expected = _reference(answers, network, fused, taken)
        try:
            seen = session.run(feed)
        except RunError as error:
            raise _failed(f"the fused model does not run: {error}") from error
        for tensor, (wanted, compare) in zip(fused.interface.outputs, expected, strict=True):
            answer = seen[tensor.name]
            worst = max(worst, _difference(tensor.name, answer, wanted, compare, tolerance))
    if not finite:
        raise BuildError(
            FailureReason.INVALID_MODEL,
            "the network answers random inputs with NaN or infinity only, as one does whose weights"
            " are damaged or whose training diverged; give one that answers your own inputs with"
            " numbers",
        )
    return worst


def check_same(
    source: Run, network: Network, session: Answering, tolerance: Tolerance = SINGLE
) -> None:
    """That another network answers random inputs as the source does.

    Raises:
        BuildError: ParityFailed.
        RunError: it does not take what the source takes.
    """
    for batch in _BATCHES if network.batched else (None,):
        feed = sample(network.inputs, "parity", batch, network.free_size)
        expected = source([feed[tensor.name] for tensor in network.inputs])
        seen = session.run(feed)
        for tensor, wanted in zip(network.outputs, expected, strict=True):
            _difference(tensor.name, seen[tensor.name], wanted, None, tolerance)


def as_run(network: Network) -> Run:
    """A network in ONNX as something that answers."""
    return run_by(Session(network.model.SerializeToString()), network)


def run_by(session: Answering, network: Network) -> Run:
    """The same, of what runs the network already."""
    names = [tensor.name for tensor in network.inputs]

    def run(inputs: list[Array]) -> list[Array]:
        answers = session.run(dict(zip(names, inputs, strict=True)))
        return [answers[tensor.name] for tensor in network.outputs]

    return run


def _taken(network: Network, fused: Fused, feed: Mapping[str, Array]) -> dict[str, Array]:
    """What the network takes once perceive is through."""
    front = 1 if network.batched else 0
    taken: dict[str, Array] = {}
    for input_ in fused.plan.perceive:
        value = feed[input_.raw.name]
        if not input_.raw.shape:
            value = value.reshape(value.shape[:front])
        made = chain.reference(input_.steps, value, network.batched, {})
        taken[input_.raw.name] = made.values[0]
    return taken


def _has_number(answers: list[Array]) -> bool:
    """Whether a float of them is finite; true where there is none, as where nothing was found."""
    floats = [answer for answer in answers if answer.dtype.kind == "f" and answer.size > 0]
    return not floats or any(bool(np.isfinite(answer).any()) for answer in floats)


def _reference(
    answers: list[Array], network: Network, fused: Fused, taken: Mapping[str, Array]
) -> list[tuple[Array, Compare | None]]:
    """The expected outputs, and how those that were chosen are compared."""
    front = 1 if network.batched else 0
    expected: list[tuple[Array, Compare | None]] = []
    for output, value in zip(fused.plan.act, answers, strict=True):
        answer = chain.reference(output.steps, value, network.batched, taken)
        *beside, last = [v.reshape([*v.shape, 1]) if v.ndim == front else v for v in answer.values]
        expected += [(each, None) for each in beside] + [(last, answer.compare)]
    return expected


def _difference(
    name: str, seen: Array, wanted: Array, compare: Compare | None, tolerance: Tolerance
) -> float:
    if seen.shape != wanted.shape:
        raise _failed(f"the output {name} has shape {seen.shape} instead of {wanted.shape}")
    if wanted.dtype.kind != "f":
        if np.array_equal(seen, wanted):
            return 0.0
        if compare is None:
            raise _failed(f"the output {name} differs")
        seen, wanted = compare(seen)
    seen64, wanted64 = seen.astype(np.float64), wanted.astype(np.float64)
    finite = np.isfinite(wanted64)
    largest = float(np.max(np.abs(wanted64), initial=0.0, where=finite)) or 1.0
    same = np.isclose(
        seen64,
        wanted64,
        rtol=tolerance.relative,
        atol=tolerance.absolute_share * largest,
        equal_nan=True,
    )
    with np.errstate(invalid="ignore"):  # of infinities, which count for nothing here
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
