"""The key changes with each input that matters and with nothing else."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlagent.api.crd import resource_schema
from dlagent.api.types import DLAgentSpec
from dlagent.domain.artifact.decimals import canonical_decimal
from dlagent.domain.artifact.request import (
    BuildRequest,
    Simulated,
    Target,
    artifact_key,
    build_id,
    build_request,
    canonical_json,
    effective_format,
    key_inputs,
)

MODEL_REPO = Path(__file__).parents[4] / "model_repo"
DIGEST = "a" * 64
BASE: dict[str, Any] = {
    "sourceUri": "pvc://models/net.onnx",
    "inputs": [{"name": "image", "dataType": "UINT8", "shape": [28, 28]}],
    "outputs": [{"name": "logits", "dataType": "FP32", "shape": [10]}],
    "perceive": [{"scale": {"multiply": "0.5"}}, {"normalize": {"mean": ["0.1"], "std": ["2"]}}],
    "act": [{"softmax": {}}, {"topK": {"k": 3}}],
    "target": {"tritonVersion": "24.10", "accelerator": "cpu"},
    "maxSourceBytes": 1000,
}
SIMULATED = {"baseMilliseconds": 40, "perItemMilliseconds": 20}


PYTHON: dict[str, Any] = {
    "python": {
        "configMapRef": {"name": "steps", "key": "act.py"},
        "outputs": [{"name": "best", "dataType": "INT64", "shape": [1]}],
    }
}


def scripted(script: str, **changes: Any) -> BuildRequest:
    step = {"python": PYTHON["python"] | changes}
    return request(act=[step], scripts={"act": script})


def test_the_key_covers_what_a_script_says_and_not_where_it_lies() -> None:
    key = artifact_key(scripted("one"), DIGEST)

    assert key != artifact_key(scripted("two"), DIGEST)
    assert key == artifact_key(
        scripted("one", configMapRef={"name": "other", "key": "copy.py"}), DIGEST
    )
    outputs = [{"name": "best", "dataType": "INT32", "shape": [1]}]
    assert key != artifact_key(scripted("one", outputs=outputs), DIGEST)
    assert "one" not in canonical_json(key_inputs(scripted("one"), DIGEST))


def test_a_request_without_scripts_travels_as_ever() -> None:
    assert "scripts" not in request().model_dump(by_alias=True)
    assert scripted("one") == BuildRequest.model_validate_json(scripted("one").model_dump_json())


def request(**changes: Any) -> BuildRequest:
    return BuildRequest.model_validate(BASE | changes)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"format": "ExportedProgram"}, id="another format"),
        pytest.param({"inputs": None}, id="inputs not declared"),
        pytest.param(
            {"inputs": [{"name": "image", "dataType": "FP32", "shape": [28, 28]}]},
            id="another type of an input",
        ),
        pytest.param({"outputs": None}, id="outputs not declared"),
        pytest.param({"perceive": []}, id="no perceive"),
        pytest.param({"perceive": BASE["perceive"][::-1]}, id="perceive in another order"),
        pytest.param(
            {"perceive": [{"scale": {"multiply": "0.51"}}, BASE["perceive"][1]]},
            id="another number in a step",
        ),
        pytest.param(
            {"perceive": [BASE["perceive"][0] | {"input": "image"}, BASE["perceive"][1]]},
            id="an input that a step is for",
        ),
        pytest.param({"act": [{"softmax": {}}]}, id="one act step fewer"),
        pytest.param({"act": [PYTHON]}, id="a step in Python"),
        pytest.param({"act": [{"softmax": {}}, {"topK": {"k": 4}}]}, id="another k"),
        pytest.param(
            {"target": {"tritonVersion": "25.01", "accelerator": "cpu"}}, id="another Triton"
        ),
        pytest.param(
            {"target": {"tritonVersion": "24.10", "accelerator": "gpu"}}, id="another accelerator"
        ),
        pytest.param(
            {"target": BASE["target"] | {"simulated": SIMULATED}}, id="a simulated accelerator"
        ),
        pytest.param(
            {"target": BASE["target"] | {"acceleratorProduct": "NVIDIA-L4"}},
            id="a kind of accelerator that engines are made on",
        ),
        pytest.param({"engine": "ONNXRuntime"}, id="an engine that is not wanted"),
    ],
)
def test_the_key_changes_with(changes: dict[str, Any]) -> None:
    assert artifact_key(request(), DIGEST) != artifact_key(request(**changes), DIGEST)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"sourceUri": "pvc://other/copy.onnx"}, id="where the source lies"),
        pytest.param({"sourceSha256": DIGEST}, id="whether a digest was asked for"),
        pytest.param({"maxSourceBytes": 5}, id="the size limit"),
        pytest.param({"format": "ONNX"}, id="a format that the suffix names as well"),
        pytest.param(
            {
                "perceive": [
                    {"scale": {"multiply": "0.50"}},
                    {"normalize": {"mean": [".10"], "std": [2]}},
                ]
            },
            id="another way to write the same numbers",
        ),
        pytest.param({"unknown": 1}, id="a field of a newer version"),
        pytest.param(
            {"target": BASE["target"] | {"simulated": None}}, id="that nothing is simulated"
        ),
    ],
)
def test_the_key_does_not_change_with(changes: dict[str, Any]) -> None:
    assert artifact_key(request(), DIGEST) == artifact_key(request(**changes), DIGEST)


def decimal_steps() -> list[Any]:
    """Of each decimal in a step, as the schema has it: field, step, name, whether in a list."""
    spec = resource_schema()["properties"]["spec"]["properties"]
    rows = []
    for field in ("perceive", "act"):
        for step, schema in spec[field]["items"]["properties"].items():
            for name, described in schema.get("properties", {}).items():
                element = described.get("items", described)
                if element.get("x-kubernetes-int-or-string"):
                    listed = element is not described
                    rows.append(pytest.param(field, step, name, listed, id=f"{step}.{name}"))
    return rows


@pytest.mark.parametrize(("field", "step", "name", "listed"), decimal_steps())
def test_equal_numbers_in_a_step_give_equal_keys(
    field: str, step: str, name: str, listed: bool
) -> None:
    def key(number: str | int) -> str:
        value = [number] if listed else number
        # Both lists of normalize are needed; a step ignores a field that it does not have.
        numbers = {"mean": ["1"], "std": ["1"], name: value}
        return artifact_key(request(**{field: [{step: numbers}]}), DIGEST)

    assert key("0.5") == key(".50") == key("5e-1")
    assert key(2) == key("2.0")
    assert key("0.5") != key("0.51")


def test_the_key_of_an_artifact_that_is_there_stays_what_it_is() -> None:
    """Else every artifact would be built again."""
    manifest = json.loads((MODEL_REPO / "manifest.json").read_text())
    report = json.loads((MODEL_REPO / "report.json").read_text())
    built = BuildRequest.model_validate(report["request"])

    assert manifest["key"] == artifact_key(built, report["source"]["sha256"])


def test_a_faster_simulated_accelerator_has_other_artifacts() -> None:
    slow, fast = (
        artifact_key(request(target=BASE["target"] | {"simulated": SIMULATED | speed}), DIGEST)
        for speed in ({}, {"perItemMilliseconds": 10})
    )

    assert slow != fast


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param({"accelerator": "nvidia-l4"}, "nvidia-l4", id="what the settings call it"),
        pytest.param(
            {"accelerator": "nvidia.com/gpu", "acceleratorProduct": "NVIDIA-L4"},
            "NVIDIA-L4",
            id="its kind, where there is but one",
        ),
        pytest.param(
            {"accelerator": "simulated", "simulated": SIMULATED},
            "simulated, 40 ms + 20 ms a request",
            id="how fast it pretends to be",
        ),
    ],
)
def test_the_hardware_as_people_say_it(target: dict[str, Any], expected: str) -> None:
    assert expected == Target.model_validate({"tritonVersion": "24.10", **target}).hardware()


@pytest.mark.parametrize(("rows", "expected"), [(1, 60), (8, 200), (32, 680)])
def test_a_batch_on_the_simulated_accelerator(rows: int, expected: float) -> None:
    assert expected == Simulated.model_validate(SIMULATED).milliseconds(rows)


def test_the_key_changes_with_the_digest_of_the_source() -> None:
    assert artifact_key(request(), DIGEST) != artifact_key(request(), "b" * 64)
    assert 64 == len(artifact_key(request(), DIGEST))


@settings(deadline=None)  # the machine may be busy
@given(name=st.text(min_size=1, max_size=20), threshold=st.integers(1, 10_000))
def test_the_key_knows_neither_the_agents_promise_nor_its_serving_fields(
    name: str, threshold: int
) -> None:
    spec = {
        "model": {"source": {"uri": "pvc://models/net.onnx"}},
        "slo": {"latency": {"thresholdMilliseconds": threshold}},
        "serving": {"runtime": name, "maxBatchSize": threshold},
    }
    plain = {
        "model": {"source": {"uri": "pvc://models/net.onnx"}},
        "slo": {"latency": {"thresholdMilliseconds": 7}},
    }
    target = Target(triton_version="24.10", accelerator="cpu")

    def key(raw: dict[str, Any]) -> str:
        made = build_request(DLAgentSpec.model_validate(raw), None, target, 10)
        return artifact_key(made, DIGEST)

    assert key(plain) == key(spec)


@pytest.mark.parametrize(
    ("changes", "retry"),
    [
        pytest.param({"sourceUri": "pvc://other/copy.onnx"}, None, id="another place"),
        pytest.param({"sourceSha256": DIGEST}, None, id="a digest to insist on"),
        pytest.param({"act": []}, None, id="what decides the key"),
        pytest.param({}, "again", id="a retry asked for"),
    ],
)
def test_the_build_id_changes_with(changes: dict[str, Any], retry: str | None) -> None:
    assert build_id(request(), None) != build_id(request(**changes), retry)


def test_the_build_id_is_short_and_does_not_know_the_size_limit() -> None:
    assert 16 == len(build_id(request(), None))
    assert build_id(request(), None) == build_id(request(maxSourceBytes=5), None)


@pytest.mark.parametrize(
    ("uri", "given_format", "expected"),
    [
        pytest.param("pvc://c/net.onnx", None, "ONNX", id="from the suffix"),
        pytest.param("pvc://c/NET.PT2", None, "ExportedProgram", id="in any case"),
        pytest.param("pvc://c/net.bin", "ONNX", "ONNX", id="as given"),
        pytest.param("pvc://c/net.onnx", "ExportedProgram", "ExportedProgram", id="given wins"),
        pytest.param("pvc://c/net", None, None, id="not known"),
    ],
)
def test_the_format_is_found(uri: str, given_format: str | None, expected: str | None) -> None:
    assert expected == effective_format(request(sourceUri=uri, format=given_format))


@settings(deadline=None)  # the machine may be busy
@given(st.decimals(allow_nan=False, allow_infinity=False, places=12), st.integers(0, 40))
def test_equal_decimals_have_one_text_and_unequal_ones_do_not(number: Decimal, zeros: int) -> None:
    text = f"{number:f}"
    padded = text + "0" * zeros

    assert canonical_decimal(text) == canonical_decimal(padded)
    assert canonical_decimal(text) != canonical_decimal(padded + "1")


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical_json({"a": 1, "b": [2]}) == canonical_json({"b": [2], "a": 1})
    assert '{"a":"\\u00e9"}' == canonical_json({"a": "é"})
