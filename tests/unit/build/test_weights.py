"""SafeTensors: the factory's network with the file's weights, and what is wrong with either.

One process imports torch for all of these tests; that takes seconds.
"""

import re
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_model

from dlagent.build.runtime import Session
from dlagent.domain.artifact.request import artifact_key
from tests.unit.build.networks import Net, OneExample, Tied

HERE = "tests.unit.build.networks"
IMAGE = [{"name": "image", "dataType": "FP32", "shape": [1, 8, 8]}]


def weights(seed: int = 0) -> tuple[Net, bytes]:
    torch.manual_seed(seed)
    network = Net().eval()
    return network, save(network.state_dict())


def factory(name: str = "Net", image: str = "builder:1") -> dict[str, str]:
    return {"callable": f"{HERE}:{name}", "image": image}


def build(workshop: Any, data: bytes, **fields: Any) -> Any:
    workshop.put(data, "net.safetensors")
    return workshop.build("net.safetensors", **{"factory": factory(), "inputs": IMAGE, **fields})


def test_the_networks_answers_are_served(workshop: Any) -> None:
    network, data = weights()

    summary = build(workshop, data)

    assert "Published" == summary.outcome, summary.message
    assert summary.interface.batched
    image = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    (answer,) = Session(workshop.model_bytes(summary.key)).run({"image": image}).values()
    np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-5)


def test_what_clients_send_goes_through_perceive_first(workshop: Any) -> None:
    summary = build(
        workshop,
        weights()[1],
        inputs=[{"name": "pixels", "dataType": "UINT8", "shape": [8, 8]}],
        perceive=[{"scale": {"multiply": "0.00392"}}, {"reshape": {"shape": [1, 8, 8]}}],
    )

    assert "Published" == summary.outcome, summary.message
    assert [("pixels", [8, 8])] == [(t.name, t.shape) for t in summary.interface.inputs]


def test_shared_weights_and_several_inputs(workshop: Any) -> None:
    save_model(Tied(), str(workshop.claim / "net.safetensors"))
    inputs = [{"name": name, "dataType": "FP32", "shape": [4]} for name in ("x", "y")]

    summary = workshop.build("net.safetensors", factory=factory("Tied"), inputs=inputs)

    assert "Published" == summary.outcome, summary.message
    assert ["x", "y"] == [tensor.name for tensor in summary.interface.inputs]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"factory": factory(image="builder:2")}, id="another image"),
        pytest.param({"factory": factory("Net2")}, id="another factory"),
    ],
)
def test_the_network_decides_the_key(workshop: Any, changes: dict[str, Any]) -> None:
    fields = {"factory": factory(), "inputs": IMAGE}
    one, other = (
        artifact_key(workshop.request("net.safetensors", **fields | change), "a" * 64)
        for change in ({}, changes)
    )
    assert one != other


def two_layers() -> bytes:
    return save({"layers.0.weight": torch.zeros(2, 1, 3, 3)})


def another_shape() -> bytes:
    state = weights()[0].state_dict()
    return save(state | {"layers.3.bias": torch.zeros(7)})


def one_too_many() -> bytes:
    return save(weights()[0].state_dict() | {"more": torch.zeros(1)})


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(two_layers(), r"Missing key\(s\)", id="weights are missing"),
        pytest.param(another_shape(), "layers.3.bias", id="a weight has another shape"),
        pytest.param(one_too_many(), "more", id="a weight too many"),
        pytest.param(weights()[1][:-100], "cannot be read", id="the file is cut"),
        pytest.param(b"\x10\0\0\0\0\0\0\0{" + b"x" * 40, "cannot be read", id="no table"),
        pytest.param(b"hello world", "not a file of safetensors", id="another file"),
        pytest.param(b"", "not a file of safetensors", id="an empty file"),
        pytest.param(b"\xff" * 8 + b"{", "not a file of safetensors", id="a table without end"),
    ],
)
def test_weights_that_do_not_fit_are_refused(workshop: Any, data: bytes, why: str) -> None:
    refused(build(workshop, data), why)


def test_a_pickle_under_the_name_of_weights_is_refused(workshop: Any) -> None:
    summary = build(workshop, b"\x80\x04" + b"x" * 40)

    assert ("Failed", "PickleRefused") == (summary.outcome, summary.reason)


def test_a_table_whose_length_looks_like_a_pickle_is_none(workshop: Any) -> None:
    """640 bytes of table: the file begins with 80 02, as pickles of protocol 2 do."""
    _, data = weights()
    padding = 640 - int.from_bytes(data[:8], "little")
    assert padding >= 0
    table = data[8 : 8 + 640 - padding] + b" " * padding
    padded = (640).to_bytes(8, "little") + table + data[8 + 640 - padding :]

    assert "Published" == build(workshop, padded).outcome


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param({"factory": None}, "set spec.model.factory", id="no factory"),
        pytest.param({"inputs": None}, "spec.model.inputs", id="no inputs"),
        pytest.param({"factory": {"callable": "nowhere.net:build"}}, "No module", id="no module"),
        pytest.param({"factory": factory("Nothing")}, "has no attribute", id="no callable"),
        pytest.param({"factory": factory("broken")}, "no such weights", id="it raises"),
        pytest.param({"factory": factory("no_network")}, "must give a torch.nn", id="no network"),
        pytest.param(
            {"inputs": [{"name": "image", "dataType": "FP32", "shape": [3, 8, 8]}]},
            r"inputs of FP32 \[2, 3, 8, 8\]",
            id="inputs of another shape",
        ),
    ],
)
def test_a_factory_that_cannot_be_used_is_told(
    workshop: Any, fields: dict[str, Any], why: str
) -> None:
    refused(build(workshop, weights()[1], **fields), why)


def test_a_network_without_a_free_batch_is_refused(workshop: Any) -> None:
    save_model(OneExample(), str(workshop.claim / "net.safetensors"))
    inputs = [{"name": "x", "dataType": "FP32", "shape": [4]}]

    refused(
        workshop.build("net.safetensors", factory=factory("OneExample"), inputs=inputs),
        "the first axis a free batch",
    )


def refused(summary: Any, why: str) -> None:
    assert ("Failed", "InvalidModel") == (summary.outcome, summary.reason), summary.message
    assert summary.message.startswith("load: "), summary.message
    assert re.search(why, summary.message), summary.message
