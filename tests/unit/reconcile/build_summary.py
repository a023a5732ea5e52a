"""What a build of a small model says in the end; the fake cluster's builds say it."""

from dlagent.api.types import DataType, Tensor
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.selfcheck import ExpectedOutput, SelfCheck
from dlagent.domain.artifact.summary import Outcome, Summary


def summary(key: str, sha256: str, outcome: Outcome = Outcome.PUBLISHED) -> Summary:
    """What a build of a small model says."""
    image = Tensor(name="image", data_type=DataType.FP32, shape=[4])
    logits = Tensor(name="logits", data_type=DataType.FP32, shape=[2])
    return Summary(
        outcome=outcome,
        message="done",
        key=key,
        source_sha256=sha256,
        engine="ONNXRuntime",
        precision="FP32",
        size_bytes=1000,
        interface=ModelInterface(inputs=[image], outputs=[logits], batched=True),
        tau=[TauPoint(batch=1, milliseconds=1.0), TauPoint(batch=8, milliseconds=4.0)],
        self_check=SelfCheck(
            seed="s",
            inputs=[image],
            outputs=[
                ExpectedOutput(name="logits", data_type=DataType.FP32, shape=[1, 2], head=[0.5])
            ],
            relative_tolerance=1e-3,
            absolute_tolerance=1e-3,
        ),
    )
