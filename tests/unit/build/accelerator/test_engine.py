"""What trtexec is told, and what of its words is told on."""

from pathlib import PurePosixPath

import pytest

from dlagent.api.types import DataType, Tensor
from dlagent.build.accelerator.engine import arguments, complaint
from dlagent.domain.artifact.interface import ModelInterface

GRAPH, PLAN = PurePosixPath("/trials/net.onnx"), PurePosixPath("/trials/net.part")
IMAGE = Tensor(name="image", data_type=DataType.UINT8, shape=[28, 28])
MASK = Tensor(name="mask", data_type=DataType.INT64, shape=[4])
SCORES = Tensor(name="scores", data_type=DataType.FP32, shape=[10])
TIMINGS = PurePosixPath("/trials/timings.cache")
ALWAYS = [
    "--onnx=/trials/net.onnx",
    "--saveEngine=/trials/net.part",
    "--timingCacheFile=/trials/timings.cache",
    "--stronglyTyped",
    "--noTF32",
    "--skipInference",
]


def interface(*inputs: Tensor, batched: bool = True) -> ModelInterface:
    return ModelInterface(inputs=list(inputs), outputs=[SCORES], batched=batched)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            interface(IMAGE),
            [
                "--minShapes=image:1x28x28",
                "--optShapes=image:8x28x28",
                "--maxShapes=image:64x28x28",
            ],
            id="batches of all sizes that are measured",
        ),
        pytest.param(
            interface(IMAGE, MASK),
            [
                "--minShapes=image:1x28x28,mask:1x4",
                "--optShapes=image:8x28x28,mask:8x4",
                "--maxShapes=image:64x28x28,mask:64x4",
            ],
            id="several inputs",
        ),
        pytest.param(interface(IMAGE, batched=False), [], id="shapes that are fixed are known"),
    ],
)
def test_the_command_line(given: ModelInterface, expected: list[str]) -> None:
    assert [*ALWAYS, *expected] == arguments(GRAPH, PLAN, TIMINGS, given)


STAMP = "[11/30/2026-16:23:30]"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        pytest.param(
            f"{STAMP} [I] Start parsing\n{STAMP} [E] [TRT] no importer for Foo\n{STAMP} [I] End",
            "no importer for Foo",
            id="the error among what it says",
        ),
        pytest.param(
            f"{STAMP} [E] [TRT] Invalid Node - b1\n  input has type Int32\n&&&& FAILED TensorRT",
            "Invalid Node - b1 input has type Int32",
            id="an error of several lines",
        ),
        pytest.param(
            f"{STAMP} [E] one\n{STAMP} [E] two\n{STAMP} [E] one\n",
            "one; two",
            id="each error once",
        ),
        pytest.param("[E] there is no trtexec", "there is no trtexec", id="without a time"),
        pytest.param("Segmentation fault\n", "Segmentation fault", id="no error: what came last"),
        pytest.param("", "it said nothing", id="nothing at all"),
    ],
)
def test_what_is_told_of_a_refusal(log: str, expected: str) -> None:
    assert expected == complaint(log)


def test_a_long_complaint_is_cut() -> None:
    assert 300 == len(complaint("[E] " + "x" * 10_000))
