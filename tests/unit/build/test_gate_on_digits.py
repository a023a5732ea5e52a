"""From a file to the gate's decision, with real pictures and a real classifier."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # has no types
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from dlagent.api.types import DataType, Tensor
from dlagent.api.types import Metric as MetricKind
from dlagent.build.dataset import check_labels, load_dataset, split_dataset
from dlagent.domain.data.split import Part
from dlagent.domain.gate.decision import Finalist, Verdict, decide_gate
from dlagent.domain.gate.evidence import compare
from dlagent.domain.gate.limit import Limit
from dlagent.domain.gate.metrics import Metric
from dlagent.domain.gate.source import source_problem

IMAGE = Tensor(name="image", data_type=DataType.FP32, shape=[8, 8])
LIMITS = [Limit(Metric(MetricKind.ACCURACY), 0.02), Limit(Metric(MetricKind.F1), 0.02)]


def rounded(weights: Any, bits: int) -> Any:
    """To so many bits, evenly, as quantisation does."""
    step = np.abs(weights).max() / 2 ** (bits - 1)
    return np.round(weights / step) * step


@pytest.fixture
def data_file(tmp_path: Path) -> Path:
    digits = load_digits()
    path = tmp_path / "digits.npz"
    trained_on = np.arange(len(digits.target)) % 3 == 0
    images = digits.images.astype(np.float32)
    np.savez_compressed(path, image=images, labels=digits.target, trained_on=trained_on)
    return path


def test_eight_bits_keep_the_accuracy_and_two_do_not(data_file: Path) -> None:
    data = load_dataset(data_file, [IMAGE], 10_000_000)
    assert data.labels is not None
    check_labels(data.labels, 10)
    parts = split_dataset(data).parts
    pixels = data.inputs["image"].reshape(len(data), -1)
    model = LogisticRegression(max_iter=500).fit(
        pixels[parts[Part.TRAIN]], data.labels[parts[Part.TRAIN]]
    )
    judged, labels = pixels[parts[Part.GATE]], data.labels[parts[Part.GATE]]
    source = judged @ model.coef_.T + model.intercept_
    assert source_problem(source, labels) is None
    finalists = []
    for bits in (8, 2):
        scores = judged @ rounded(model.coef_, bits).T + model.intercept_
        evidence = tuple(compare(limit.metric, labels, source, scores) for limit in LIMITS)
        finalists.append(Finalist(f"int{bits}", evidence))
    decision = decide_gate(LIMITS, finalists)
    assert ["int8"] == [finalist.name for finalist in decision.passed]
    assert Verdict.DROP_TOO_LARGE is decision.finalists[1].verdict
