"""What admission says of where a model comes from, its format and its tensors."""

import pytest

from admission import IMAGE, SMALLEST, agent, refusal, source
from harness import Json, Kubectl, merged

# What is wrong, the change that makes it so, and what kubectl prints of it.
BAD: list[tuple[str, Json, str]] = [
    (
        "a source of a scheme that nobody reads",
        source(uri="ftp://models/shoes.onnx"),
        'spec.model.source.uri: Invalid value: "ftp://models/shoes.onnx": must begin with one of'
        " pvc://, https://, s3://, gs://, az://, hf://, oci://; for a file on a"
        " PersistentVolumeClaim of the agent's namespace write pvc://CLAIM/PATH",
    ),
    (
        "a user name in a URL",
        source(uri="https://me:secret@models.example/shoes.onnx", sha256="9f" * 32),
        "must be https://HOST/PATH, such as https://models.example/shoes.onnx, without a user name"
        " or a #fragment; put credentials into a Secret and name it in secretRef",
    ),
    (
        "a bucket without a key",
        source(uri="s3://models"),
        "must be s3://BUCKET/KEY, such as s3://models/shoes.onnx",
    ),
    (
        "a bucket of Google's that cannot be one's name",
        source(uri="gs://Models/shoes.onnx"),
        "must be gs://BUCKET/OBJECT, such as gs://models/shoes.onnx",
    ),
    (
        "a container of Azure's without a path",
        source(uri="az://models/"),
        "must be az://CONTAINER/PATH, such as az://models/shoes.onnx; the Secret in secretRef names"
        " the account",
    ),
    (
        "a repository without a revision",
        source(uri="hf://example/shoes/model.onnx", sha256="9f" * 32),
        "must be hf://ORG/REPO@REVISION/PATH, such as hf://example/shoes@main/model.onnx",
    ),
    (
        "an artifact without a tag",
        source(uri="oci://registry.example/shoes/model.onnx", sha256="9f" * 32),
        "must be oci://HOST/REPO:TAG/TITLE or oci://HOST/REPO@sha256:DIGEST/TITLE",
    ),
    *(
        (
            f"no digest for {uri.partition(':')[0]}",
            source(uri=uri),
            "spec.model.source.sha256: Invalid value: must be set where source.uri is https://,"
            " hf:// or oci://, since what is there can change at any time; take what `sha256sum"
            " FILE` prints",
        )
        for uri in (
            "https://models.example/shoes.onnx",
            "hf://example/shoes@main/model.onnx",
            "oci://registry.example/shoes:v3/model.onnx",
        )
    ),
    (
        "credentials for a volume",
        source(secretRef={"name": "store"}),
        "spec.model.source.secretRef: Invalid value: has no use for a volume; remove it",
    ),
    (
        "a Secret that cannot be one's name",
        source(uri="s3://models/shoes.onnx", secretRef={"name": "My Secret"}),
        "spec.model.source.secretRef.name: Invalid value",
    ),
    (
        "a claim without a path",
        source(uri="pvc://models"),
        'spec.model.source.uri: Invalid value: "pvc://models": must be pvc://CLAIM/PATH, such as'
        " pvc://models/shoes.onnx",
    ),
    (
        "a claim that cannot be one's name",
        source(uri="pvc://My_Models/shoes.onnx"),
        "must be pvc://CLAIM/PATH, such as pvc://models/shoes.onnx",
    ),
    (
        "a path out of the volume",
        source(uri="pvc://models/../other/shoes.onnx"),
        'spec.model.source.uri: Invalid value: "pvc://models/../other/shoes.onnx": must not contain'
        " . or .. as a folder; write the path from the root",
    ),
    (
        "a path out of the volume by backslashes",
        source(uri="pvc://models/a\\..\\shoes.onnx"),
        "must not contain . or .. as a folder; write the path from the root",
    ),
    (
        "a path with a line break",
        source(uri="pvc://models/a\nb.onnx"),
        "must not contain control characters; rename the file",
    ),
    (
        "a pickle",
        source(uri="pvc://models/shoes.PT"),
        'spec.model.source.uri: Invalid value: "pvc://models/shoes.PT": is a pickle, which can run'
        " any code when it is read. Convert it where you trust it:"
        " torch.export.save(torch.export.export(model.eval(), (two_examples,),"
        " dynamic_shapes=({0: torch.export.Dim('batch')},)), 'model.pt2'), and name model.pt2 here",
    ),
    (
        "a pickle by its other name",
        source(uri="pvc://models/pytorch_model.bin"),
        "is a pickle, which can run any code when it is read",
    ),
    ("no source", {"model": {"source": None}}, "spec.model.source: Required value"),
    ("no uri", source(uri=None), "spec.model.source.uri: Required value"),
    ("no promise", {"slo": None}, "spec.slo: Required value"),
    (
        "a digest that is none",
        source(sha256="9F" * 32),
        "must be 64 lower-case hexadecimal digits; take what `sha256sum FILE` prints",
    ),
    (
        "a suffix that says no format",
        source(uri="pvc://models/shoes"),
        "spec.model.format: Invalid value: must be set, since the suffix of source.uri is none of"
        " .onnx, .pt2, .safetensors; set format to ONNX, ExportedProgram or SafeTensors",
    ),
    (
        "weights without a network",
        source(uri="pvc://models/shoes.safetensors"),
        "spec.model.factory: Invalid value: must be set with SafeTensors, which hold weights and no"
        " network; name a callable of the build's image that makes the network, such as"
        " shoes.net:build",
    ),
    (
        "a factory for a whole model",
        {"model": {"factory": "shoes.net:build", "inputs": IMAGE}},
        "spec.model.factory: Invalid value: only counts with SafeTensors; remove it, or set"
        " format: SafeTensors",
    ),
    (
        "a factory without inputs",
        {"model": {"format": "SafeTensors", "factory": "shoes.net:build"}},
        "spec.model.inputs: Invalid value: must be set with factory, since the network is traced"
        " with inputs of these shapes",
    ),
    (
        "a factory that is no callable's name",
        {"model": {"format": "SafeTensors", "factory": "shoes.net", "inputs": IMAGE}},
        'spec.model.factory: Invalid value: "shoes.net"',
    ),
    (
        "a format nobody reads",
        {"model": {"format": "TFLite"}},
        'spec.model.format: Unsupported value: "TFLite": supported values: "ONNX",'
        ' "ExportedProgram", "SafeTensors"',
    ),
    (
        "an unknown element type",
        {"model": {"inputs": [{"name": "x", "dataType": "BF16", "shape": [1]}]}},
        'spec.model.inputs[0].dataType: Unsupported value: "BF16"',
    ),
    (
        "an axis of size 0",
        {"model": {"inputs": [{"name": "x", "dataType": "FP32", "shape": [0]}]}},
        "spec.model.inputs[0].shape[0]: Invalid value: 0: must not be 0; use -1 for a free axis",
    ),
    (
        "two inputs of one name",
        {"model": {"inputs": [{"name": "x", "dataType": "FP32", "shape": [1]}] * 2}},
        'spec.model.inputs[1]: Duplicate value: {"name":"x"}',
    ),
]


@pytest.mark.parametrize(("change", "message"), [row[1:] for row in BAD], ids=[r[0] for r in BAD])
def test_refuses(kubectl: Kubectl, change: Json, message: str) -> None:
    assert message in refusal(kubectl, agent("bad", merged(SMALLEST, change)))
