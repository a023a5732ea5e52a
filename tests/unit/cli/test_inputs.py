"""What fits an agent is sent as it is; what does not is refused with the way out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlagent.cli.agent_client import ModelInfo, TensorInfo
from dlagent.cli.errors import CliError
from dlagent.cli.inputs import read_inputs


def model(
    shape: tuple[int, ...] = (2, 3),
    data_type: str = "UINT8",
    max_batch_size: int = 8,
    count: int = 1,
) -> ModelInfo:
    inputs = tuple(TensorInfo(f"in{i}", data_type, shape) for i in range(count))
    return ModelInfo(inputs, (TensorInfo("out", "FP32", (1,)),), max_batch_size)


GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)
COLOUR = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


def picture(folder: Path, values: Any, name: str = "x.png") -> Path:
    Image.fromarray(values).save(folder / name)
    return folder / name


def npy(folder: Path, values: Any) -> Path:
    np.save(folder / "x.npy", values)
    return folder / "x.npy"


def as_json(folder: Path, value: Any) -> Path:
    (folder / "x.json").write_text(json.dumps(value))
    return folder / "x.json"


@pytest.mark.parametrize(
    ("shape", "values", "expected"),
    [
        pytest.param((2, 3), GREY, GREY, id="grey, height x width"),
        pytest.param((1, 2, 3), GREY, GREY[None], id="grey, one channel first"),
        pytest.param((2, 3, 1), GREY, GREY[..., None], id="grey, one channel last"),
        pytest.param((3, 2, 3), COLOUR, COLOUR.transpose(2, 0, 1), id="colour, channels first"),
        pytest.param((2, 3, 3), COLOUR, COLOUR, id="colour, channels last"),
        pytest.param((-1, -1), GREY, GREY, id="free axes take the picture's size"),
        pytest.param((2, 3), np.dstack([GREY] * 3), GREY, id="grey that was saved as colour"),
        pytest.param((2, 3, 3), GREY, np.dstack([GREY] * 3), id="grey for a colour agent"),
    ],
)
def test_a_picture_takes_the_layout_of_the_input(
    tmp_path: Path, shape: tuple[int, ...], values: Any, expected: Any
) -> None:
    found = read_inputs(picture(tmp_path, values), model(shape), resize=False)
    np.testing.assert_array_equal(found["in0"], expected[None])


def test_resize_fits_size_and_colour(tmp_path: Path) -> None:
    large = np.full((9, 7, 3), (10, 200, 30), np.uint8)
    found = read_inputs(picture(tmp_path, large), model(), resize=True)
    assert found["in0"].shape == (1, 2, 3)
    assert found["in0"].dtype == np.uint8


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(GREY, GREY[None], id="one example"),
        pytest.param(np.stack([GREY] * 4), np.stack([GREY] * 4), id="a batch"),
        pytest.param(GREY.astype(bool), GREY.astype(bool)[None], id="a type that loses nothing"),
    ],
)
def test_npy(tmp_path: Path, values: Any, expected: Any) -> None:
    found = read_inputs(npy(tmp_path, values), model(), resize=False)
    np.testing.assert_array_equal(found["in0"], expected)


def test_npy_without_batch_axis_for_an_agent_without_batches(tmp_path: Path) -> None:
    found = read_inputs(npy(tmp_path, GREY), model(max_batch_size=0), resize=False)
    assert found["in0"].shape == (2, 3)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(GREY.tolist(), id="nested lists"),
        pytest.param({"in0": GREY.tolist()}, id="by name"),
        pytest.param(
            {"inputs": [{"name": "in0", "shape": [1, 2, 3], "data": GREY.ravel().tolist()}]},
            id="a KServe v2 request with flat data",
        ),
    ],
)
def test_json(tmp_path: Path, value: Any) -> None:
    found = read_inputs(as_json(tmp_path, value), model(), resize=False)
    np.testing.assert_array_equal(found["in0"], GREY[None])
    assert found["in0"].dtype == np.uint8


def test_json_for_two_inputs(tmp_path: Path) -> None:
    value = {"in0": GREY.tolist(), "in1": (GREY + 1).tolist()}
    found = read_inputs(as_json(tmp_path, value), model(count=2), resize=False)
    assert found["in1"][0, 0, 0] == 1


@pytest.mark.parametrize(
    ("write", "agent", "says"),
    [
        pytest.param(
            lambda f: picture(f, GREY), model((4, 4)), "3 x 2 .* 4 x 4: add --resize", id="size"
        ),
        pytest.param(
            lambda f: picture(f, COLOUR), model(), "has colours .* --resize", id="colours"
        ),
        pytest.param(
            lambda f: picture(f, GREY),
            model(data_type="FP32"),
            "takes FP32",
            id="picture for floats",
        ),
        pytest.param(
            lambda f: picture(f, GREY), model((6,)), "is no picture", id="not a picture's shape"
        ),
        pytest.param(
            lambda f: picture(f, GREY), model(count=2), "takes 2 .in0, in1.", id="two inputs"
        ),
        pytest.param(
            lambda f: npy(f, GREY.astype(np.float64)),
            model(),
            "float64 .*astype",
            id="loses digits",
        ),
        pytest.param(lambda f: npy(f, GREY.T), model(), r"shape \[3, 2\].*\[2, 3\]", id="shape"),
        pytest.param(lambda f: as_json(f, [[1, 2], [3]]), model(), "not rectangular", id="ragged"),
        pytest.param(
            lambda f: as_json(f, [[1, 2, 300]] * 2), model(), "cannot hold", id="300 as UINT8"
        ),
        pytest.param(
            lambda f: as_json(f, [[1, 2, 0.5]] * 2), model(), "cannot hold", id="0.5 as UINT8"
        ),
        pytest.param(
            lambda f: as_json(f, [["a"] * 3] * 2), model(), "must hold numbers", id="text"
        ),
        pytest.param(
            lambda f: as_json(f, {"x": 1}), model(), "gives x .* takes in0", id="wrong name"
        ),
        pytest.param(
            lambda f: as_json(f, {"inputs": [{"name": "in0"}]}),
            model(),
            "needs name, shape",
            id="no data",
        ),
    ],
)
def test_refused(tmp_path: Path, write: Any, agent: ModelInfo, says: str) -> None:
    with pytest.raises(CliError, match=says):
        read_inputs(write(tmp_path), agent, resize=False)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        pytest.param("x.png", b"nonsense", "not a picture", id="a broken picture"),
        pytest.param("x.npy", b"nonsense", "not a readable .npy", id="a broken npy"),
        pytest.param("x.json", b"{", "is not JSON", id="broken JSON"),
        pytest.param("x.txt", b"1 2", "give a picture", id="another kind of file"),
    ],
)
def test_unreadable(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CliError, match=says):
        read_inputs(tmp_path / name, model(), resize=False)


def test_a_pickle_in_an_npy_is_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(CliError, match="allow_pickle"):
        read_inputs(tmp_path / "x.npy", model(), resize=False)
