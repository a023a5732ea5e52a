"""Stage 2 for SafeTensors: the factory's network with the weights of the file, exported by torch.

A file of safetensors holds numbers and names, no code. The code is the factory's, from the build's
own image, and is trusted as that is.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlagent.api.types import Tensor
from dlagent.build.failure import BuildError
from dlagent.build.network import FREE, sample
from dlagent.build.plan import perceived
from dlagent.build.runtime import first_line
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import FailureReason

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.nn import Module

# torch takes an axis of size 0 or 1 for one that is always so.
_EXAMPLES = 2
_FREE_SIZE = 16


def load_program(path: Path, request: BuildRequest) -> "ExportedProgram":
    """The network as torch.export traces it, the batch axis free.

    Raises:
        BuildError: InvalidModel, ShapeMismatch, UnsupportedOperator.
    """
    if request.factory is None or not request.inputs:
        raise _invalid(
            "the source holds weights and no network; set spec.model.factory to a callable of the"
            " build's image that makes it, and spec.model.inputs to what it takes"
        )
    network = _make(request.factory.callable)
    _fill(network, path)
    return _export(network, perceived(request))


def _make(factory: str) -> "Module":
    """What the factory gives."""
    import torch  # seconds: only where a source needs it

    module, _, path = factory.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        raise _invalid(
            f"the build's image has no {factory} ({first_line(error)}); correct spec.model.factory,"
            " or name an image that has it in spec.build.image"
        ) from error
    try:
        network = found()
    except Exception as error:  # code of the image's author
        raise _invalid(
            f"the factory {factory} fails: {type(error).__name__}: {first_line(error)}; it is"
            " called without arguments"
        ) from error
    if not isinstance(network, torch.nn.Module):
        raise _invalid(
            f"the factory {factory} gives a {type(network).__name__}; it must give a"
            " torch.nn.Module"
        )
    return network


def _fill(network: "Module", path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    try:
        load_model(network, path, strict=True)
    except SafetensorError as error:
        raise _invalid(
            f"the file of safetensors cannot be read ({first_line(error)}); write it again"
        ) from error
    except RuntimeError as error:  # torch's for names and shapes that differ
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise _invalid(
            f"the weights are not those of the factory's network: {' '.join(lines[1:3])[:300]};"
            " name the factory that they were saved from"
        ) from error


def _export(network: "Module", inputs: list[Tensor]) -> "ExportedProgram":
    import torch  # as above

    batch = torch.export.Dim("batch")
    axes = [
        {0: batch}
        | {at: torch.export.Dim.AUTO for at, size in enumerate(tensor.shape, 1) if size == FREE}
        for tensor in inputs
    ]
    arrays = sample(inputs, "export", _EXAMPLES, _FREE_SIZE)
    examples = tuple(torch.from_numpy(arrays[tensor.name].copy()) for tensor in inputs)
    try:
        return torch.export.export(network.eval(), examples, dynamic_shapes=tuple(axes))
    except Exception as error:  # torch raises whatever the network provokes
        shapes = ", ".join(f"{tensor.data_type} {[_EXAMPLES, *tensor.shape]}" for tensor in inputs)
        raise _invalid(
            f"torch cannot export the network with inputs of {shapes}, the first axis a free batch"
            f" ({type(error).__name__}: {first_line(error)}); correct spec.model.inputs or the"
            " factory"
        ) from error


def _invalid(message: str) -> BuildError:
    return BuildError(FailureReason.INVALID_MODEL, message)
