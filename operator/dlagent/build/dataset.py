"""The data set: examples as a client sends them, from a .npz file.

The pipeline calls `load_dataset` after it fetched the file, `check_labels` once the network's
classes are known, and `split_dataset`. Arrays are named as the agent's served inputs, before
perceive; their first axis is that of the examples. Beside them may be `labels` (a whole number for
each example) and `trained_on` (a bool for each: the network has seen it in training).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlagent.api.types import Tensor
from dlagent.build.npz import Array, invalid, open_npz
from dlagent.domain.artifact.selfcheck import NUMPY_TYPES
from dlagent.domain.data.split import Part, Split, content_digests, split

LABELS = "labels"
TRAINED_ON = "trained_on"

# Of the examples, those whose content occurs with several labels. A few are found in most data
# sets that people have labelled; more means that labels and examples were mixed up.
MAX_CONFLICTING_SHARE = 0.01

_FREE = -1
_SHOWN = 40  # names, and characters of a name, in a message


@dataclass(frozen=True, eq=False)
class Dataset:
    """Arrays of the same length, in the order of the file: `inputs` by name, as a client sends."""

    inputs: Mapping[str, NDArray[Any]]
    labels: NDArray[np.int64] | None
    trained_on: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.trained_on)


def load_dataset(path: Path, inputs: Sequence[Tensor], max_bytes: int) -> Dataset:
    """Read the file; `max_bytes` is for all arrays together, unpacked.

    Raises:
        BuildError: InvalidDataset, which names the array, what is wrong with it, and the remedy.
        OSError: the file cannot be read.
    """
    with open_npz(path) as file:
        _check_names(file.names, [tensor.name for tensor in inputs])
        file.check_size(max_bytes)
        arrays = {name: file.array(name) for name in file.names}
        count = _count(arrays)
        examples = {tensor.name: _read_input(arrays, tensor) for tensor in inputs}
        labels = _read_labels(arrays[LABELS]) if LABELS in arrays else None
        trained_on = np.zeros(count, dtype=np.bool_)
        if TRAINED_ON in arrays:
            _check(TRAINED_ON, arrays[TRAINED_ON], np.dtype(np.bool_), [])
            trained_on = arrays[TRAINED_ON].read()
    for name, values in examples.items():
        _check_finite(name, values)
    return Dataset(examples, labels, trained_on)


def check_labels(labels: NDArray[np.int64], classes: int) -> None:
    """That labels are classes of the network, and that none between 0 and the highest is empty.

    Raises:
        BuildError: InvalidDataset.
    """
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise invalid(
            f"{np.count_nonzero(wrong):,} labels are not classes of the network, which numbers"
            f" {classes} from 0 to {classes - 1}; the first is {labels[first]}, of example {first}",
            "number the classes as the network does",
        )
    _check_classes(labels, int(labels.max()) + 1, "")


def split_dataset(dataset: Dataset) -> Split:
    """Divide the examples into the parts that learn, choose and judge. Labels are checked before.

    Raises:
        BuildError: InvalidDataset: labels contradict each other, a part is empty, or a class has no
            example in a part that judges.
    """
    parts = split(content_digests(dataset.inputs), dataset.labels, dataset.trained_on)
    if parts.conflicting > MAX_CONFLICTING_SHARE * len(dataset):
        raise invalid(
            f"{parts.conflicting:,} of {len(dataset):,} examples occur with the same content and"
            f" different labels, and at most {MAX_CONFLICTING_SHARE:.0%} may",
            "correct the labels",
        )
    for part, indexes in parts.parts.items():
        if not len(indexes):
            raise invalid(
                f"it has too few examples: none is left for the part {part}", _more(dataset)
            )
    if dataset.labels is not None:
        classes = int(dataset.labels.max()) + 1
        for part in (Part.SELECT, Part.GATE):
            _check_classes(dataset.labels[parts.parts[part]], classes, f" in the part {part}")
    return parts


def _more(dataset: Dataset) -> str:
    if dataset.trained_on.all():
        return f"add examples that the network was not trained on, with {TRAINED_ON} false"
    return "give more examples"


def _check_names(found: Sequence[str], inputs: Sequence[str]) -> None:
    taken = [name for name in inputs if name in (LABELS, TRAINED_ON)]
    if taken:
        raise invalid(
            f"the agent has an input named {taken[0]}, which means something else in a data set",
            "rename the network's input",
        )
    strange = set(found) - {*inputs, LABELS, TRAINED_ON}
    if strange or set(inputs) - set(found) or len(set(found)) < len(found):
        raise invalid(
            f"it has the arrays {_names(found)}; {_names(inputs)} are expected, and {LABELS} and"
            f" {TRAINED_ON} are allowed",
            "name the arrays as the agent's inputs",
        )


def _names(names: Sequence[str]) -> str:
    shown = [name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..." for name in names[:_SHOWN]]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(shown) or 'none'}{more}"


def _count(arrays: Mapping[str, Array]) -> int:
    """How many examples each array has."""
    counts = {name: array.shape[0] if array.shape else 0 for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        given = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise invalid(f"its arrays have different numbers of examples: {given}", "give as many")
    count = next(iter(counts.values()))
    if count < 1:
        raise invalid("it has no examples", "give each array the examples as its first axis")
    return count


def _read_input(arrays: Mapping[str, Array], tensor: Tensor) -> NDArray[Any]:
    array = arrays[tensor.name]
    _check(tensor.name, array, NUMPY_TYPES[tensor.data_type], tensor.shape)
    return array.read()


def _read_labels(array: Array) -> NDArray[np.int64]:
    """Whole numbers of any type."""
    whole = array.dtype.kind in "iu"
    _check(LABELS, array, array.dtype if whole else np.dtype(np.int64), [])
    labels = array.read()
    if int(labels.max()) > np.iinfo(np.int64).max:
        raise invalid(f"the label {labels.max()} is no class", "number the classes from 0")
    return labels.astype(np.int64)


def _check(name: str, array: Array, dtype: np.dtype[Any], shape: Sequence[int]) -> None:
    """That an array has this type, and this shape behind the axis of the examples."""
    seen = array.shape[1:]
    fits = len(seen) == len(shape) and all(
        size > 0 and wanted in (_FREE, size) for size, wanted in zip(seen, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        raise invalid(
            f"the array {name} is {_short(array.dtype)} of shape {_short(list(array.shape))}, and"
            f" {dtype} of shape {[array.shape[0], *shape]} is expected",
            "convert it, or correct spec.model.inputs",
        )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _check_classes(labels: NDArray[np.int64], classes: int, where: str) -> None:
    empty = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if len(empty):
        shown = ", ".join(map(str, empty[:5])) + (", ..." if len(empty) > 5 else "")
        raise invalid(
            f"{len(empty)} of {classes} classes have no example{where}: {shown}",
            "add examples of each class, or number the classes without gaps",
        )


def _check_finite(name: str, values: NDArray[Any]) -> None:
    if values.dtype.kind != "f":
        return
    broken = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if broken.any():
        raise invalid(
            f"the array {name} has NaN or infinity in {np.count_nonzero(broken):,} of"
            f" {len(values):,} examples, first in example {int(np.argmax(broken))}",
            "remove or correct them",
        )
