"""What a benchmark of the build needs of a network, and those that there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.models import minilm, resnet
from benchmarks.models.cache import cached_folder
from dlagent.api.types import Metric
from examples.fashion_mnist import data, dataset, student
from examples.fashion_mnist.network import MEAN, STD
from examples.fashion_mnist.train import ensure_trained

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Subject:
    """One network: its program and its data set, and what is asked of it afterwards.

    `unseen` are inputs of the network that no build has seen; `judge` makes one figure, such as
    the accuracy, of the source's outputs for them and of those that are to be judged.
    `build` has further fields of spec.build.
    """

    name: str
    program: Path
    dataset: Path
    gate: Mapping[str, str]
    unseen: Arrays
    judge: Callable[[NDArray[Any], NDArray[Any]], float]
    figure: str
    build: Mapping[str, Any] = field(default_factory=dict)


def subjects() -> dict[str, Callable[[], Subject]]:
    """By name; each is made when it is asked for, and kept in the user's cache."""
    return {
        "cnn": _cnn,
        "cnn-2": _cnn_of_two_points,
        "cnn-student": _cnn_with_a_student,
        "cnn-int8": _cnn_in_int8,
        "resnet": _resnet,
        "minilm": _minilm,
    }


def _cnn() -> Subject:
    trained = ensure_trained(Console(stderr=True))
    return _pictures("cnn", trained.exported_program, "1")


def _cnn_of_two_points() -> Subject:
    trained = ensure_trained(Console(stderr=True))
    return _pictures("cnn-2", trained.exported_program, "2")


def _cnn_with_a_student() -> Subject:
    folder = cached_folder("student", [Path(student.__file__)], _write_student)
    path = folder / "student.pt2"
    given = {"student": {"uri": path.as_uri(), "sha256": data.digest_of(path)}}
    return replace(_cnn_of_two_points(), name="cnn-student", build={"distill": given})


def _cnn_in_int8() -> Subject:
    quantised_only = {"precision": "INT8", "prune": {"channelsPercent": 0}}
    return replace(_cnn(), name="cnn-int8", build=quantised_only)


def _write_student(folder: Path) -> None:
    student.write(folder / "student.pt2")


def _resnet() -> Subject:
    return _pictures("resnet", resnet.trained_program(), "1")


def _pictures(name: str, program: Path, max_drop_percent: str) -> Subject:
    folder = cached_folder("fashion-mnist-prepared", [Path(dataset.__file__)], _write_pictures)
    unseen = dataset.unseen()
    labels = unseen.labels.astype(np.int64)

    def accuracy(before: NDArray[Any], after: NDArray[Any]) -> float:
        del before
        return float(np.mean(after.argmax(axis=1) == labels))

    gate = {"metric": Metric.ACCURACY.value, "maxDropPercent": max_drop_percent}
    pictures = {"image": _prepared(unseen.images)}
    return Subject(name, program, folder / "pictures.npz", gate, pictures, accuracy, "accuracy")


def _write_pictures(folder: Path) -> None:
    dataset.write_dataset(folder / "raw.npz")
    with np.load(folder / "raw.npz") as raw:
        np.savez(
            folder / "pictures.npz",
            image=_prepared(raw["image"]),
            labels=raw["labels"],
            trained_on=raw["trained_on"],
        )
    (folder / "raw.npz").unlink()


def _prepared(images: data.Bytes) -> NDArray[np.float32]:
    """As examples.fashion_mnist.network.prepare."""
    scaled = (images.astype(np.float32) / 255 - MEAN) / STD
    return scaled.astype(np.float32)[:, None]


def _minilm() -> Subject:
    program, sentences = minilm.files()

    def cosine(before: NDArray[Any], after: NDArray[Any]) -> float:
        return float(np.mean(np.sum(before * after, axis=1)))

    gate = {"metric": Metric.MAX_ABS_ERROR.value, "maxAbsError": "0.05"}
    return Subject(
        "minilm", program, sentences, gate, minilm.unseen_tokens(), cosine, "cosine similarity"
    )
