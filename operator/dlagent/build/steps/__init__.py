"""The registry of perceive and act steps: adding one is a module here and a line below."""

from collections.abc import Callable
from typing import Any

from dlagent.api.types import ActStep, PerceiveStep
from dlagent.build.steps.argmax import ArgMaxStep
from dlagent.build.steps.base import MaskedStep, Step
from dlagent.build.steps.cast import CastStep
from dlagent.build.steps.center_crop import CenterCropStep
from dlagent.build.steps.l2_normalize import L2NormalizeStep
from dlagent.build.steps.labels import LabelsStep
from dlagent.build.steps.mean_pooling import MeanPoolingStep
from dlagent.build.steps.normalize import NormalizeStep
from dlagent.build.steps.one_hot import OneHotStep
from dlagent.build.steps.reshape import ReshapeStep
from dlagent.build.steps.resize import ResizeStep
from dlagent.build.steps.scale import ScaleStep
from dlagent.build.steps.sigmoid import SigmoidStep
from dlagent.build.steps.softmax import SoftmaxStep
from dlagent.build.steps.threshold import ThresholdStep
from dlagent.build.steps.top_k import TopKStep
from dlagent.build.steps.transpose import TransposeStep

# By the name of the field in the API's types.
STEPS: dict[str, Callable[[Any], Step | MaskedStep]] = {
    "scale": ScaleStep,
    "normalize": NormalizeStep,
    "resize": ResizeStep,
    "center_crop": CenterCropStep,
    "reshape": ReshapeStep,
    "transpose": TransposeStep,
    "cast": CastStep,
    "one_hot": OneHotStep,
    "softmax": SoftmaxStep,
    "sigmoid": SigmoidStep,
    "argmax": ArgMaxStep,
    "top_k": TopKStep,
    "threshold": ThresholdStep,
    "labels": LabelsStep,
    "mean_pooling": MeanPoolingStep,
    "l2_normalize": L2NormalizeStep,
}


def step_of(spec: PerceiveStep | ActStep) -> Step | MaskedStep:
    """The step that the one field set in `spec` means; admission sees to it that there is one."""
    for field, make in STEPS.items():
        value = getattr(spec, field, None)
        if value is not None:
            return make(value)
    raise ValueError(f"a step without a known field: {spec}")
