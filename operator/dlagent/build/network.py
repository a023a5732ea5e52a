"""What a network takes and gives, found by asking ONNX Runtime, and whether it does batches."""

import itertools
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto, TypeProto, helper

from dlagent.api.types import Tensor
from dlagent.build.failure import BuildError
from dlagent.build.onnx_source import network_inputs
from dlagent.build.runtime import Array, RunError, Session
from dlagent.domain.artifact.interface import ModelInterface
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES, golden_input
from dlagent.domain.artifact.summary import FailureReason

FREE = -1
# Sizes to try for free axes: small ones, and what convolutional networks are trained on.
_FREE_SIZES = (16, 64, 224)

_TRY_SEED = "try"
# Of the largest value. An example beside others may differ by the rounding of a network that was
# quantised dynamically, whose scale is that of the whole batch; a network that mixes its examples
# differs by as much as the examples do.
_CLOSE = 0.05

_LONGEST_NAME = 256

_TYPES = {numpy_type: data_type for data_type, numpy_type in NUMPY_TYPES.items()}


@dataclass(frozen=True)
class Network:
    """A network as ONNX; shapes are without the batch axis where `batched`.

    `free_size` is a size for free axes that the network takes; `whole_because` says why requests
    are not put together in batches, where they are not.
    """

    model: ModelProto
    inputs: list[Tensor]
    outputs: list[Tensor]
    batched: bool
    free_size: int
    whole_because: str | None = None

    @property
    def interface(self) -> ModelInterface:
        """The tensors, for who serves the network by itself."""
        return ModelInterface(inputs=self.inputs, outputs=self.outputs, batched=self.batched)


def inspect(model: ModelProto) -> Network:
    """Find the network's tensors by running it.

    Batched means: the first axis of every input is free, the first axis of every output follows
    it, and an example's answer does not depend on the others beside it. Else the first axis, free
    or not, is part of what one request carries.

    Raises:
        BuildError: InvalidModel, UnsupportedOperator.
    """
    session = Session(model.SerializeToString())
    values = network_inputs(model.graph)
    if not values:
        raise _invalid("the model has no input")
    for value in (*values, *model.graph.output):
        if len(value.name) > _LONGEST_NAME:
            raise _invalid(f"the name {value.name[:40]}... is longer than {_LONGEST_NAME}")
    complete = [_input(value.name, value.type) for value in values]
    may_batch = all(tensor.shape and tensor.shape[0] == FREE for tensor in complete)
    examples = [_without_batch(tensor) for tensor in complete] if may_batch else complete
    size, runs = _try_out(session, examples, may_batch)
    if may_batch:
        whole_because = _no_batches(session, examples, size, runs)
    else:
        whole_because = (
            "the first axis of an input is fixed; where it is that of the batch, export the network"
            " with a free one, such as dynamic_shapes=({0: torch.export.Dim('batch')},)"
        )
    batched = whole_because is None
    inputs = examples if batched else complete
    outputs = [_output(port.name, port.shape, runs, batched) for port in session.outputs()]
    return Network(model, inputs, outputs, batched, size, whole_because)


def sample(tensors: list[Tensor], seed: str, batch: int | None, free_size: int) -> dict[str, Array]:
    """Inputs of these shapes: `batch` examples, or one without a batch axis where it is None."""
    return {
        tensor.name: golden_input(seed, concrete(tensor, batch, free_size)) for tensor in tensors
    }


def concrete(tensor: Tensor, batch: int | None, free_size: int) -> Tensor:
    """The tensor with sizes for its free axes and with its batch axis, if there is one."""
    shape = [free_size if size == FREE else size for size in tensor.shape]
    return tensor.model_copy(update={"shape": [batch, *shape] if batch is not None else shape})


def _try_out(
    session: Session, examples: list[Tensor], batched: bool
) -> tuple[int, list[dict[str, Array]]]:
    """The outputs for batches of 2 and 3, with the first free size that the network takes."""
    batches = (2, 3) if batched else (None,)
    problem = ""
    for size in _FREE_SIZES:
        try:
            return size, [
                session.run(sample(examples, _TRY_SEED, batch, size)) for batch in batches
            ]
        except RunError as error:
            problem = problem or str(error)
    free = [tensor.name for tensor in examples if FREE in tensor.shape]
    if free:
        sizes = ", ".join(map(str, _FREE_SIZES))
        raise _invalid(
            f"the model does not run ({problem}); the free axes of its inputs {', '.join(free)}"
            f" were given the sizes {sizes}: where it takes others only, export it with fixed"
            " ones, and only the batch free"
        )
    raise _invalid(
        f"the model does not run on inputs of its own shapes ({problem}); check it with"
        " onnxruntime before you give it"
    )


def _no_batches(
    session: Session, examples: list[Tensor], free_size: int, runs: list[dict[str, Array]]
) -> str | None:
    """Why requests cannot share a batch, though the first axes are free; None where they can."""
    stays = next((name for name in runs[0] if not _follows(runs, name)), None)
    if stays is not None:
        return f"the output {stays} does not follow the first axis of the inputs"
    batch = len(runs) + 1  # of the last run
    feed = sample(examples, _TRY_SEED, batch, free_size)
    for row in range(batch):
        try:
            alone = session.run({name: value[row : row + 1] for name, value in feed.items()})
        except RunError as error:
            return f"the network does not take one example alone ({error})"
        mixed = next((n for n in alone if not _close(runs[-1][n][row : row + 1], alone[n])), None)
        if mixed is not None:
            return (
                f"the output {mixed} for one example depends on the others in its batch: the first"
                " axis is another one than the batch"
            )
    return None


def _close(together: Array, alone: Array) -> bool:
    if together.shape != alone.shape:
        return False
    if not np.issubdtype(together.dtype, np.floating):
        return bool((together == alone).all())
    largest = float(np.abs(np.nan_to_num(together)).max(initial=0.0))
    return np.allclose(together, alone, rtol=0.0, atol=_CLOSE * largest, equal_nan=True)


def _follows(runs: list[dict[str, Array]], name: str) -> bool:
    return all(
        run[name].ndim > 0 and run[name].shape[0] == batch
        for run, batch in zip(runs, itertools.count(2), strict=False)
    )


def _output(
    name: str, declared: list[int | str | None], runs: list[dict[str, Array]], batched: bool
) -> Tensor:
    """Sizes as the model declares them; an axis that it leaves open is free."""
    seen = runs[0][name]
    data_type = _TYPES.get(seen.dtype)
    if data_type is None:
        raise _invalid(f"the output {name} has the type {seen.dtype}, which is not served")
    if len(declared) == seen.ndim:
        shape = [size if isinstance(size, int) and size > 0 else FREE for size in declared]
    else:
        shape = [FREE] * seen.ndim
    return Tensor(name=name, data_type=data_type, shape=shape[1:] if batched else shape)


def _input(name: str, type_: TypeProto) -> Tensor:
    tensor = type_.tensor_type
    if tensor.elem_type == TensorProto.STRING:
        raise _invalid(
            f"the input {name} takes text (BYTES), which is not served; export the network from"
            " where numbers go in, such as token ids"
        )
    try:
        data_type = _TYPES[helper.tensor_dtype_to_np_dtype(tensor.elem_type)]
    except KeyError as error:
        raise _invalid(f"the input {name} has a type that is not served") from error
    if not tensor.HasField("shape"):
        raise _invalid(f"the input {name} has no shape; export the model with one")
    shape = [
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else FREE
        for dim in tensor.shape.dim
    ]
    return Tensor(name=name, data_type=data_type, shape=shape)


def _without_batch(tensor: Tensor) -> Tensor:
    return tensor.model_copy(update={"shape": tensor.shape[1:]})


def _invalid(message: str) -> BuildError:
    return BuildError(FailureReason.INVALID_MODEL, message)


def check_declared(
    what: str, declared: list[Tensor] | None, found: list[Tensor], remedy: str
) -> list[Tensor]:
    """The tensors as declared, in the network's order, where they agree with it; else as found.

    A declared size may be narrower than a free one, never different from a fixed one.

    Raises:
        BuildError: ShapeMismatch, which names what differs.
    """
    in_order = declared_in_order(what, declared, found, remedy)
    for tensor, wanted in zip(in_order, found, strict=True):
        check_fits(what, tensor, wanted, remedy)
    return in_order


def declared_in_order(
    what: str, declared: list[Tensor] | None, found: list[Tensor], remedy: str
) -> list[Tensor]:
    """The tensors as declared, in the network's order; as found where none are declared.

    Raises:
        BuildError: ShapeMismatch, where their names are not those of the network.
    """
    if declared is None:
        return found
    by_name = {tensor.name: tensor for tensor in declared}
    if sorted(tensor.name for tensor in declared) != sorted(tensor.name for tensor in found):
        raise BuildError(
            FailureReason.SHAPE_MISMATCH,
            f"the spec declares the {what}s {[tensor.name for tensor in declared]}, the network"
            f" has {[tensor.name for tensor in found]}; {remedy}",
        )
    return [by_name[tensor.name] for tensor in found]


def check_fits(what: str, declared: Tensor, found: Tensor, remedy: str) -> None:
    """Raises BuildError: ShapeMismatch, where a declared tensor cannot be the network's."""
    if not fits(declared, found):
        raise BuildError(
            FailureReason.SHAPE_MISMATCH,
            f"the {what} {declared.name} is declared as {describe(declared)}, the network has"
            f" {describe(found)}; {remedy}",
        )


def fits(given: Tensor, wanted: Tensor) -> bool:
    """Whether a tensor can go where `wanted` is taken."""
    return (
        given.data_type == wanted.data_type
        and len(given.shape) == len(wanted.shape)
        and all(
            FREE in (size, other) or size == other
            for size, other in zip(given.shape, wanted.shape, strict=True)
        )
    )


def describe(tensor: Tensor) -> str:
    return f"{tensor.data_type} {tensor.shape}"
