"""A script as a process: what goes over to it and comes back, and what ends it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlagent.api.types import DataType, Tensor
from dlagent.build.failure import BuildError
from dlagent.build.scripts.process import ScriptProcess
from dlagent.domain.artifact.summary import FailureReason

Array = np.ndarray[Any, Any]
TYPES = [each for each in DataType if each is not DataType.BYTES]
PASS = "def step(inputs):\n    return {name + '_': value for name, value in inputs.items()}"


def process(folder: Path, text: str, *outputs: Tensor, seconds: float = 30.0) -> ScriptProcess:
    path = folder / "step.py"
    path.write_text(text)
    return ScriptProcess("spec.act[0].python", path, outputs, seconds)


def test_arrays_of_every_type_go_over_and_come_back(tmp_path: Path) -> None:
    feed: dict[str, Array] = {
        str(type_): np.arange(6).reshape(2, 3).astype(_numpy(type_)) for type_ in TYPES
    }
    outputs = [Tensor(name=f"{t}_", data_type=t, shape=[3]) for t in TYPES]

    with process(tmp_path, PASS, *outputs) as script:
        made = script.run(feed, batched=True)
        again = script.run({name: value[:1] for name, value in feed.items()}, batched=True)

    for name, value in feed.items():
        assert value.dtype == made[f"{name}_"].dtype
        assert value.tolist() == made[f"{name}_"].tolist()
        assert value[:1].tolist() == again[f"{name}_"].tolist()


def _numpy(type_: DataType) -> str:
    return str(type_).lower().replace("fp", "float")


def test_text_comes_back_as_utf_8(tmp_path: Path) -> None:
    text = (
        "import numpy as np\n"
        "def step(inputs):\n    return {'t': np.array([['grün'], [b'\\x00']], object)}"
    )
    output = Tensor(name="t", data_type=DataType.BYTES, shape=[1])

    with process(tmp_path, text, output) as script:
        made = script.run({"x": np.zeros((2, 1))}, batched=True)

    assert [["grün".encode()], [b"\x00"]] == made["t"].tolist()


def test_without_a_batch_axis_shapes_are_whole(tmp_path: Path) -> None:
    output = Tensor(name="x_", data_type=DataType.FP64, shape=[2, -1])

    with process(tmp_path, PASS, output) as script:
        assert (2, 5) == script.run({"x": np.zeros((2, 5))}, batched=False)["x_"].shape


def test_what_it_prints_is_not_progress_of_the_build(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = Tensor(name="x_", data_type=DataType.FP64, shape=[])

    with process(tmp_path, f"print('rubbish')\n{PASS}", output) as script:
        script.run({"x": np.zeros(2)}, batched=True)

    out, err = capfd.readouterr()
    assert ("", "rubbish\n") == (out, err)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "while True: pass", "it did not import within 0.5 s", id="an import that never ends"
        ),
        pytest.param(
            "import os; os._exit(3)",
            "its process ended with the exit code 3",
            id="an import that ends",
        ),
    ],
)
def test_a_script_that_cannot_be_had_is_a_failed_build(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(BuildError) as failed:
        process(tmp_path, text, seconds=0.5)

    assert FailureReason.PYTHON_STEP_FAILED == failed.value.reason
    assert f"spec.act[0].python: {message}" in failed.value.message


def test_a_script_that_never_answers_is_ended(tmp_path: Path) -> None:
    text = (
        "def step(inputs):\n    while True:\n        try:\n            pass\n        except: pass"
    )

    with (
        process(tmp_path, text, seconds=5.0) as script,
        pytest.raises(BuildError, match="it did not answer within 5 s"),
    ):
        script.run({"x": np.zeros(1)}, batched=True)
