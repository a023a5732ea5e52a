"""A manifest survives the way to the store and back, and the loader can read its table."""

from dlagent.api.types import DataType, Tensor
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.interface import ModelInterface, TauPoint
from dlagent.domain.artifact.layout import CONFIG, file_table
from dlagent.domain.artifact.manifest import ArtifactFile, Manifest
from dlagent.domain.artifact.selfcheck import ExpectedOutput, SelfCheck
from dlagent.domain.artifact.summary import Outcome, of_manifest, parse_summary

ROW = Tensor(name="x", data_type=DataType.FP32, shape=[4])


def manifest() -> Manifest:
    return Manifest(
        key="k",
        key_inputs={"recipeVersion": 1},
        files={
            CONFIG: ArtifactFile(sha256="a", size_bytes=100),
            "model/1/model.onnx": ArtifactFile(sha256="b", size_bytes=200),
        },
        engine=Engine.ONNX_RUNTIME,
        precision="FP32",
        interface=ModelInterface(inputs=[ROW], outputs=[ROW], batched=True),
        tau=[TauPoint(batch=1, milliseconds=0.25)],
        self_check=SelfCheck(
            seed="0",
            inputs=[ROW],
            outputs=[
                ExpectedOutput(name="x", data_type=DataType.FP32, shape=[1, 4], head=[1.5, 2])
            ],
            relative_tolerance=0.001,
            absolute_tolerance=0.001,
        ),
        versions={"onnxruntime": "1"},
    )


def test_it_is_read_back_as_it_was() -> None:
    assert manifest() == Manifest.model_validate_json(manifest().to_json())


def test_the_loader_reads_its_table_without_these_types() -> None:
    table = file_table(manifest().to_json().encode(), "k")

    assert {CONFIG: 100, "model/1/model.onnx": 200} == {
        path: e.size_bytes for path, e in table.items()
    }


def test_its_summary_says_what_it_says() -> None:
    made = of_manifest(manifest(), Outcome.CACHED, "known", "d" * 64)

    read = parse_summary(made.to_message())
    assert made == read
    assert 300 == made.size_bytes, "all that Triton reads"
    assert manifest().self_check == made.self_check
