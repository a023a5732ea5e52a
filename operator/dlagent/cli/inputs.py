"""From a file to the tensors that an agent takes. Called by `dlagent infer`; does no network I/O.

Nothing is converted silently: a picture of another size, colours for a grey agent, or numbers that
would lose digits are refused with the way out.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.utils import triton_to_np_dtype  # type: ignore[import-untyped]  # ships no types

from dlagent.cli.agent_client import ModelInfo, TensorInfo
from dlagent.cli.errors import CliError

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
COLOUR_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
Inputs = dict[str, NDArray[Any]]


def read_inputs(file: Path, model: ModelInfo, resize: bool) -> Inputs:
    """The model's inputs by name, with a batch axis where the model has one.

    Raises:
        CliError: the file cannot be read, or does not fit what the agent takes.
    """
    suffix = file.suffix.lower()
    if suffix == ".json":
        return _from_json(file, model)
    if suffix not in PICTURES | {".npy"}:
        raise CliError(f"{file.name}: give a picture, an .npy or a .json file")
    tensor = _only_input(file, model)
    array = _from_npy(file) if suffix == ".npy" else _from_picture(file, tensor, resize)
    return {tensor.name: _fitted(array, tensor, model.batched, file.name)}


def _only_input(file: Path, model: ModelInfo) -> TensorInfo:
    if len(model.inputs) != 1:
        names = ", ".join(tensor.name for tensor in model.inputs)
        raise CliError(
            f"{file.name} holds one tensor and the agent takes {len(model.inputs)} ({names}): "
            'give a .json file {"<input>": [...], ...}'
        )
    return model.inputs[0]


def _from_npy(file: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise CliError(f"{file.name} is not a readable .npy file: {error}") from error
    return array


def _from_json(file: Path, model: ModelInfo) -> Inputs:
    try:
        value = json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CliError(f"{file.name} is not JSON: {error}") from error
    if isinstance(value, dict) and isinstance(value.get("inputs"), list):
        by_name = _from_request(file, value["inputs"])
    elif isinstance(value, dict):
        by_name = value
    else:
        by_name = {_only_input(file, model).name: value}
    expected = {tensor.name for tensor in model.inputs}
    if by_name.keys() != expected:
        raise CliError(
            f"{file.name} gives {_names(by_name)} and the agent takes {_names(expected)}"
        )
    return {
        tensor.name: _fitted(
            _parsed(by_name[tensor.name], tensor, file), tensor, model.batched, file.name
        )
        for tensor in model.inputs
    }


def _from_request(file: Path, tensors: list[Any]) -> Mapping[str, Any]:
    """The tensors of a KServe v2 request; its data may be flat or nested."""
    try:
        return {t["name"]: np.asarray(t["data"]).reshape(t["shape"]).tolist() for t in tensors}
    except (KeyError, TypeError, ValueError) as error:
        raise CliError(
            f"{file.name}: each of its inputs needs name, shape and data that fills it ({error})"
        ) from error


def _names(names: Any) -> str:
    return ", ".join(sorted(names)) or "no input"


def _parsed(value: Any, tensor: TensorInfo, file: Path) -> NDArray[Any]:
    """JSON has no element types: numbers take the agent's, when they survive it."""
    try:
        raw = np.asarray(value)
    except ValueError as error:  # ragged lists
        raise CliError(f"{file.name}: input {tensor.name} is not rectangular: {error}") from error
    if raw.dtype.kind not in "biuf":
        raise CliError(f"{file.name}: input {tensor.name} must hold numbers")
    wanted = np.dtype(triton_to_np_dtype(tensor.data_type))
    with np.errstate(all="ignore"):
        converted = raw.astype(wanted)
    if wanted.kind in "iub" and not np.array_equal(converted.astype(raw.dtype), raw):
        raise CliError(f"{file.name}: input {tensor.name} has values that {wanted} cannot hold")
    return converted


def _fitted(array: NDArray[Any], tensor: TensorInfo, batched: bool, file: str) -> NDArray[Any]:
    """The array with the agent's element type, and a batch axis where it has one."""
    wanted = np.dtype(triton_to_np_dtype(tensor.data_type))
    if array.dtype != wanted:
        if not np.can_cast(array.dtype, wanted, casting="safe"):
            raise CliError(
                f"{file} holds {array.dtype} and input {tensor.name} takes {wanted}: "
                f"convert it with array.astype('{wanted}') if that is meant"
            )
        array = array.astype(wanted)
    if batched and _matches(array.shape, tensor.shape):
        return array[np.newaxis]
    shape = array.shape[1:] if batched else array.shape
    if array.ndim == len(tensor.shape) + int(batched) and _matches(shape, tensor.shape):
        return array
    expected = _shape_text(tensor.shape) + (", or a batch of those" if batched else "")
    raise CliError(
        f"{file} has shape {_shape_text(array.shape)}; input {tensor.name} takes {expected}"
    )


def _matches(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        w in (-1, s) for s, w in zip(shape, wanted, strict=True)
    )


def _shape_text(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(str(axis) for axis in shape) + "]"


def _from_picture(file: Path, tensor: TensorInfo, resize: bool) -> NDArray[Any]:
    """The picture's values 0..255 in the layout of the agent's input."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError as error:
        raise CliError("pictures need Pillow: pip install pillow, or give an .npy file") from error
    if tensor.data_type != "UINT8":
        raise CliError(
            f"input {tensor.name} takes {tensor.data_type}, and what a picture's 0..255 would be "
            "there is not known: give an .npy file, or let the agent's perceive cast and scale"
        )
    height, width, channels, channels_first = _picture_layout(tensor)
    try:
        with Image.open(file) as opened:
            opened.load()
            picture: Any = opened
    except (UnidentifiedImageError, OSError) as error:
        raise CliError(f"{file.name} is not a picture that can be read: {error}") from error
    picture = _coloured(picture, COLOUR_MODES[channels], file.name, resize)
    size = (width if width > 0 else picture.width, height if height > 0 else picture.height)
    if picture.size != size:
        if not resize:
            raise CliError(
                f"{file.name} is {picture.width} x {picture.height} and the agent takes "
                f"{size[0]} x {size[1]}: add --resize to fit it"
            )
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    array: NDArray[Any] = np.asarray(picture, dtype=np.uint8)
    if len(tensor.shape) == 3:
        array = array.reshape(size[1], size[0], channels)
        array = array.transpose(2, 0, 1) if channels_first else array
    return array


def _picture_layout(tensor: TensorInfo) -> tuple[int, int, int, bool]:
    """Height, width, channels, and whether the channels come first."""
    shape = tensor.shape
    if len(shape) == 2:
        return shape[0], shape[1], 1, False
    if len(shape) == 3 and shape[0] in COLOUR_MODES:
        return shape[1], shape[2], shape[0], True
    if len(shape) == 3 and shape[2] in COLOUR_MODES:
        return shape[0], shape[1], shape[2], False
    raise CliError(
        f"input {tensor.name} has shape {_shape_text(shape)}, which is no picture: "
        "give an .npy or .json file"
    )


def _coloured(picture: Any, mode: str, file: str, resize: bool) -> Any:
    """The picture in the colour mode that the agent takes."""
    if picture.mode == mode:
        return picture
    converted = picture.convert(mode)
    if mode == "L" and not resize:
        back = converted.convert("RGB")
        if picture.convert("RGB").tobytes() != back.tobytes():
            raise CliError(
                f"{file} has colours and the agent takes grey values: add --resize to fit it"
            )
    return converted
