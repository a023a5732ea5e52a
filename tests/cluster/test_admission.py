"""What the apiserver itself refuses, with the words that `kubectl apply` prints, and what it takes.

Needs no operator: `bare_apiserver` is enough.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from admission import SMALLEST, agent, namespace_of_its_own, refusal
from dlagent.api.types import DLAgentSpec, PodPlacement, Serving
from harness import Json, Kubectl, KubectlError, eventually, merged

IMAGE: list[Json] = [{"name": "image", "dataType": "UINT8", "shape": [28, 28]}]
FULL: Json = {
    "model": {
        "source": {
            "uri": "s3://models/shoes/v3.bytes",
            "sha256": "9f" * 32,
            "secretRef": {"name": "model-store"},
        },
        "format": "SafeTensors",
        "factory": "shoes.net:build",
        "inputs": IMAGE,
        "outputs": [{"name": "logits", "dataType": "FP32", "shape": [-1]}],
    },
    "perceive": [
        {
            "python": {
                "configMapRef": {"name": "shoes.steps", "key": "perceive_v2.py"},
                "outputs": [{"name": "image", "dataType": "UINT8", "shape": [28, 28]}],
            }
        },
        {"cast": {"dataType": "FP32"}},
        {"scale": {"multiply": "0.00392156862745098"}},
        {"normalize": {"mean": ["0.286", 0, "-0.001"], "std": [".353", 1, "2"]}},
        {"reshape": {"shape": [1, -1, 28]}},
        {"transpose": {"axes": [2, 0, 1]}},
        {"resize": {"height": 4, "width": 5, "layout": "HWC", "interpolation": "Nearest"}},
        {"centerCrop": {"height": 4, "width": 4, "layout": "CHW"}, "input": "image"},
        {"oneHot": {"depth": 2}},
    ],
    "act": [
        {"meanPooling": {"mask": "image"}, "output": "logits"},
        {"l2Normalize": {}},
        {"sigmoid": {}},
        {"threshold": {"value": ".5"}},
        {"softmax": {}},
        {"topK": {"k": 3}},
        {"labels": {"values": ["ankle boot", "Stiefel, größer"]}},
    ],
    "build": {
        "image": "registry.example/builder:1",
        "timeoutMinutes": 30,
        "timeBudgetMinutes": 10,
        "dataset": {"uri": "pvc://models/shoes.npz", "sha256": "1a" * 32},
        "gate": {"metric": "TopK", "k": 3, "maxDropPercent": "0.5"},
        "precision": "Auto",
        "prune": {"channelsPercent": 50},
        "distill": {
            "epochs": 3,
            "student": {"uri": "s3://models/small.pt2", "sha256": "2b" * 32},
        },
        "resources": {"requests": {"cpu": 1, "memory": "2Gi"}, "limits": {"memory": "8Gi"}},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"operator": "Exists"}],
        "priorityClassName": "low",
        "runtimeClassName": "nvidia",
        "imagePullSecrets": [{"name": "registry"}],
    },
    "serving": {
        "runtime": "triton",
        "maxBatchSize": 16,
        "batchDelayMicroseconds": 0,
        "instancesPerReplica": 2,
        "responseCache": True,
        "accelerator": {"resource": "nvidia.com/gpu", "count": 1},
        "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "2", "memory": "4Gi"}},
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}
        ],
        "affinity": {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "preference": {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]},
                    }
                ]
            }
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"dlagent.io/name": "full"}},
            }
        ],
        "podLabels": {"team": "shoes"},
        "podAnnotations": {"example.com/note": "any text"},
        "env": [
            {"name": "LEVEL", "value": "1"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "t"}}},
        ],
    },
    "slo": {"latency": {"thresholdMilliseconds": 50, "objectivePercent": "99.9"}},
    "scaling": {"mode": "Manual"},
    "replicas": 3,
    "rollout": {"strategy": "Rolling", "deadlineSeconds": 300},
    "paused": True,
}

LABELLED: list[Json] = [
    {"softmax": {}},
    {"argmax": {}},
    {"labels": {"values": ["0123456789abcdef"] * 2048}},
]
TWO_INPUTS: Json = {
    "model": {
        "inputs": [{"name": n, "dataType": "INT64", "shape": [-1]} for n in ("ids", "mask")],
        "outputs": [{"name": n, "dataType": "FP32", "shape": [-1, 8]} for n in ("last", "all")],
    },
    "perceive": [{"cast": {"dataType": "INT64"}, "input": "mask"}],
    "act": [{"meanPooling": {"mask": "mask"}, "output": "last"}, {"l2Normalize": {}}],
}


TEXT: Json = {"name": "name", "dataType": "BYTES", "shape": [1]}
PAIR: list[Json] = [{"name": n, "dataType": "INT64", "shape": [-1]} for n in "ab"]


def python(*outputs: Json) -> Json:
    reference = {"name": "steps", "key": "step.py"}
    return {"python": {"configMapRef": reference, "outputs": list(outputs)}}


PYTHON = python({"name": "x", "dataType": "FP32", "shape": [28, 28]})
# As many steps with as many tensors as may be, for what the rules may cost.
WIDE: Json = {
    "model": {
        "inputs": [{"name": f"in{n}", "dataType": "INT64", "shape": [-1]} for n in range(16)],
        "outputs": [{"name": f"out{n}", "dataType": "FP32", "shape": [8]} for n in range(16)],
    },
    "perceive": [
        python(*({"name": f"x{n}", "dataType": "INT64", "shape": [-1]} for n in range(16))),
        *({"cast": {"dataType": "FP32"}, "input": f"x{n}"} for n in range(15)),
    ],
    "act": [
        *[{"sigmoid": {}, "output": "out3"}, {"meanPooling": {"mask": "x3"}}, {"softmax": {}}],
        {"topK": {"k": 2}},
        python(*({"name": f"y{n}", "dataType": "BYTES", "shape": [1]} for n in range(16))),
    ],
}


def source(**fields: Any) -> Json:
    return {"model": {"source": fields}}


def perceive(**step: Any) -> Json:
    return {"perceive": [step]}


def latency(**fields: Any) -> Json:
    return {"slo": {"latency": fields}}


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
        " torch.export.save(torch.export.export(model.eval(), (example_input,)), 'model.pt2'), and"
        " name model.pt2 here",
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
    (
        "two things in one step",
        perceive(scale={"multiply": 2}, cast={"dataType": "FP32"}),
        "spec.perceive[0]: Invalid value: exactly one of scale, normalize, resize, centerCrop,"
        " reshape, transpose, cast, oneHot, python must be set; write each step as an item of its"
        " own",
    ),
    (
        "an empty step",
        {"act": [{}]},
        "spec.act[0]: Invalid value: exactly one of softmax, sigmoid, argmax, topK, threshold,"
        " labels, meanPooling, l2Normalize, python must be set; write each step as an item of its"
        " own",
    ),
    (
        "a step nobody knows",
        perceive(blur={"radius": 1}),
        'unknown field "spec.perceive[0].blur"',
    ),
    (
        "a factor of 0",
        perceive(scale={"multiply": "0.0"}),
        'spec.perceive[0].scale.multiply: Invalid value: "0.0": must not be 0, which would erase'
        ' the input; to bring 0..255 into 0..1 write "0.00392156862745098"',
    ),
    (
        "a factor that is no number",
        perceive(scale={"multiply": "1/255"}),
        'spec.perceive[0].scale.multiply: Invalid value: "1/255": spec.perceive[0].scale.multiply'
        " in body should match",
    ),
    (
        "a factor that is a float",
        perceive(scale={"multiply": 0.5}),
        "spec.perceive[0].scale.multiply in body must be of type integer,string",
    ),
    (
        "as many means as not deviations",
        perceive(normalize={"mean": ["0.1", "0.2"], "std": [1]}),
        "spec.perceive[0].normalize: Invalid value: mean and std must have as many values as each"
        " other: one for all channels, or one a channel",
    ),
    (
        "a deviation of 0",
        perceive(normalize={"mean": [0], "std": ["0"]}),
        "spec.perceive[0].normalize.std: Invalid value: std must be above 0, since it divides;"
        " remove what does not vary, or use 1",
    ),
    (
        "two free axes",
        perceive(reshape={"shape": [-1, -1]}),
        "at most one axis may be -1, since it follows from the others; write the others out",
    ),
    (
        "an axis twice",
        perceive(transpose={"axes": [0, 0, 1]}),
        "must name each axis from 0 once, without the batch axis; from HWC to CHW write [2, 0, 1]",
    ),
    (
        "the best 0",
        {"act": [{"topK": {"k": 0}}]},
        "spec.act[0].topK.k: Invalid value: 0: spec.act[0].topK.k in body should be greater than or"
        " equal to 1",
    ),
    (
        "text as an input",
        {"model": {"inputs": [{"name": "x", "dataType": "BYTES", "shape": [1]}]}},
        "spec.model.inputs: Invalid value: must not have the type BYTES, since a network takes"
        " numbers; send what the text became, such as token ids as INT64",
    ),
    (
        "numbers as text",
        perceive(cast={"dataType": "BYTES"}),
        'spec.perceive[0].cast.dataType: Invalid value: "BYTES": must not be BYTES, since a network'
        " takes numbers; name a type of numbers",
    ),
    (
        "a picture without a layout",
        perceive(resize={"height": 2, "width": 2}),
        "spec.perceive[0].resize.layout: Required value",
    ),
    (
        "a layout nobody knows",
        perceive(centerCrop={"height": 2, "width": 2, "layout": "NHWC"}),
        'spec.perceive[0].centerCrop.layout: Unsupported value: "NHWC": supported values: "CHW",'
        ' "HWC"',
    ),
    (
        "an interpolation nobody knows",
        perceive(resize={"height": 2, "width": 2, "layout": "CHW", "interpolation": "Cubic"}),
        'spec.perceive[0].resize.interpolation: Unsupported value: "Cubic": supported values:'
        ' "Bilinear", "Nearest"',
    ),
    (
        "a picture without rows",
        perceive(resize={"height": 0, "width": 2, "layout": "CHW"}),
        "spec.perceive[0].resize.height: Invalid value: 0: spec.perceive[0].resize.height in body"
        " should be greater than or equal to 1",
    ),
    (
        "one place only",
        perceive(oneHot={"depth": 1}),
        "spec.perceive[0].oneHot.depth: Invalid value: 1: spec.perceive[0].oneHot.depth in body"
        " should be greater than or equal to 2",
    ),
    (
        "an input that is not declared",
        {
            "model": {"inputs": [{"name": "x", "dataType": "FP32", "shape": [1]}]},
            "perceive": [{"scale": {"multiply": 2}, "input": "y"}],
        },
        "spec.perceive: Invalid value: the input of a step is none of model.inputs; write one of"
        " their names",
    ),
    (
        "a step for any of two inputs",
        {
            "model": {"inputs": [{"name": n, "dataType": "FP32", "shape": [1]} for n in "ab"]},
            "perceive": [{"scale": {"multiply": 2}}],
        },
        "spec.perceive: Invalid value: each step must have input, since model.inputs has several;"
        " add input: NAME to each step",
    ),
    (
        "steps for any of two outputs",
        {
            "model": {"outputs": [{"name": n, "dataType": "FP32", "shape": [1]} for n in "ab"]},
            "act": [{"softmax": {}}],
        },
        "spec.act: Invalid value: the first step must have output, since model.outputs has several;"
        " add output: NAME to it",
    ),
    (
        "an output that is not declared",
        {
            "model": {"outputs": [{"name": n, "dataType": "FP32", "shape": [1]} for n in "ab"]},
            "act": [{"softmax": {}, "output": "c"}],
        },
        "spec.act: Invalid value: the output of a step is none of model.outputs; write one of their"
        " names",
    ),
    (
        "two outputs at once",
        {"act": [{"sigmoid": {}, "output": "a"}, {"l2Normalize": {}, "output": "b"}]},
        "spec.act: Invalid value: only the first step may have output, since the others work on"
        " what it made; remove output from the others",
    ),
    (
        "a mask that is not declared",
        {
            "model": {"inputs": [{"name": "ids", "dataType": "INT64", "shape": [-1]}]},
            "act": [{"meanPooling": {"mask": "attention_mask"}}],
        },
        "spec.act: Invalid value: the mask of meanPooling is none of model.inputs; write one of"
        " their names",
    ),
    (
        "pooling without a mask",
        {"act": [{"meanPooling": {}}]},
        "spec.act[0].meanPooling.mask: Required value",
    ),
    (
        "a threshold that is no number",
        {"act": [{"threshold": {"value": "half"}}]},
        'spec.act[0].threshold.value: Invalid value: "half"',
    ),
    (
        "no labels",
        {"act": [{"argmax": {}}, {"labels": {"values": []}}]},
        "spec.act[1].labels.values: Invalid value: 0: spec.act[1].labels.values in body should have"
        " at least 1 items",
    ),
    (
        "a label without a letter",
        {"act": [{"argmax": {}}, {"labels": {"values": ["a", ""]}}]},
        'spec.act[1].labels.values[1]: Invalid value: "": spec.act[1].labels.values[1] in body'
        " should be at least 1 chars long",
    ),
    (
        "a label on two lines",
        {"act": [{"argmax": {}}, {"labels": {"values": ["a", "b\nc"]}}]},
        'spec.act[1].labels.values[1]: Invalid value: "b\\nc": must not contain control'
        " characters; write the label on one line",
    ),
    (
        "labels longer than a variable may be",
        {"act": [{"argmax": {}}, {"labels": {"values": ["ä" * 128] * 129}}]},
        "must have at most 32768 bytes in all; shorten the labels",
    ),
    (
        "labels of nothing",
        {"act": [{"softmax": {}}, {"labels": {"values": ["a"]}}]},
        "spec.act: Invalid value: labels must be the last step, right after argmax or topK, whose"
        " indices it names; move it there",
    ),
    (
        "labels before the choice",
        {"act": [{"labels": {"values": ["a"]}}, {"argmax": {}}]},
        "labels must be the last step, right after argmax or topK",
    ),
    (
        "a step after the choice",
        {"act": [{"topK": {"k": 1}}, {"softmax": {}}]},
        "spec.act: Invalid value: nothing but labels or python can follow argmax or topK; move the"
        " other steps before it",
    ),
    (
        "two choices",
        {"act": [{"argmax": {}}, {"topK": {"k": 1}}]},
        "nothing but labels or python can follow argmax or topK",
    ),
    (
        "a script for inputs that nobody has declared",
        {"perceive": [PYTHON]},
        "spec.model.inputs: Invalid value: must be set where perceive has python, since nothing"
        " else says what clients send; declare its names, types and shapes",
    ),
    (
        "a script after another step",
        {"model": {"inputs": IMAGE}, "perceive": [{"oneHot": {"depth": 2}}, PYTHON]},
        "spec.perceive: Invalid value: python must be the first step, and the only one of its"
        " kind; move it there, or do in the script what comes before it",
    ),
    (
        "two scripts in front",
        {"model": {"inputs": IMAGE}, "perceive": [PYTHON, PYTHON]},
        "python must be the first step, and the only one of its kind",
    ),
    (
        "a script for one of the inputs",
        {"model": {"inputs": IMAGE}, "perceive": [PYTHON | {"input": "image"}]},
        "spec.perceive[0].input: Invalid value: has no use beside python, which takes all inputs;"
        " remove it",
    ),
    (
        "text for a network",
        {"model": {"inputs": IMAGE}, "perceive": [python(TEXT)]},
        "spec.perceive[0].python: Invalid value: must not have outputs of the type BYTES, since a"
        " network takes numbers; make numbers of the text in the script",
    ),
    (
        "a step for any of two outputs of a script",
        {
            "model": {"inputs": IMAGE},
            "perceive": [python(*PAIR), {"scale": {"multiply": 2}}],
        },
        "spec.perceive: Invalid value: each step after python must have input, since python has"
        " several outputs; add input: NAME to each step",
    ),
    (
        "an input that the script does not make",
        {
            "model": {"inputs": IMAGE},
            "perceive": [python(*PAIR), {"scale": {"multiply": 2}, "input": "image"}],
        },
        "spec.perceive: Invalid value: the input of a step is none of the outputs of python before"
        " it; write one of their names",
    ),
    (
        "a mask that the script does not make",
        {
            "model": {"inputs": IMAGE},
            "perceive": [python(*PAIR)],
            "act": [{"meanPooling": {"mask": "image"}}],
        },
        "spec.act: Invalid value: the mask of meanPooling is none of the outputs of python in"
        " perceive; write one of their names",
    ),
    (
        "a script before another step",
        {"act": [PYTHON, {"softmax": {}}]},
        "spec.act: Invalid value: python must be the last step, and the only one of its kind; move"
        " it there, or do in the script what comes after it",
    ),
    (
        "a script for one of the outputs",
        {"act": [PYTHON | {"output": "a"}]},
        "spec.act[0].output: Invalid value: has no use beside python, which takes all outputs;"
        " remove it",
    ),
    (
        "a script that makes nothing",
        {"act": [python()]},
        "spec.act[0].python.outputs: Invalid value: 0: spec.act[0].python.outputs in body should"
        " have at least 1 items",
    ),
    (
        "two outputs of one name",
        {"act": [python(PAIR[0], PAIR[0])]},
        'spec.act[0].python.outputs[1]: Duplicate value: {"name":"a"}',
    ),
    (
        "a script in no ConfigMap",
        {"act": [{"python": {"outputs": [TEXT]}}]},
        "spec.act[0].python.configMapRef: Required value",
    ),
    (
        "a key that cannot be one's name",
        {"act": [{"python": PYTHON["python"] | {"configMapRef": {"name": "c", "key": "a/b"}}}]},
        'spec.act[0].python.configMapRef.key: Invalid value: "a/b"',
    ),
    (
        "no time at all",
        latency(thresholdMilliseconds=0),
        "spec.slo.latency.thresholdMilliseconds: Invalid value: 0:"
        " spec.slo.latency.thresholdMilliseconds in body should be greater than or equal to 1",
    ),
    (
        "a share that nobody keeps",
        latency(objectivePercent="100"),
        'spec.slo.latency.objectivePercent: Invalid value: "100": must be above 0 and below 100,'
        ' such as "99.9"; no service keeps 100',
    ),
    (
        "a share of nothing",
        latency(objectivePercent=0),
        "spec.slo.latency.objectivePercent: Invalid value: 0: must be above 0 and below 100",
    ),
    (
        "replicas without mode Manual",
        {"replicas": 3},
        "spec.replicas: Invalid value: only counts where the number is set by hand; set"
        " scaling.mode: Manual",
    ),
    (
        "mode Manual without replicas",
        {"scaling": {"mode": "Manual"}},
        "spec.replicas: Invalid value: must be set with scaling.mode: Manual; write how many, such"
        " as replicas: 1",
    ),
    (
        "fewer replicas than none",
        {"scaling": {"mode": "Manual"}, "replicas": -1},
        "spec.replicas: Invalid value: -1",
    ),
    (
        "a batch of none",
        {"serving": {"maxBatchSize": 0}},
        "spec.serving.maxBatchSize: Invalid value: 0",
    ),
    (
        "a runtime that cannot be one's name",
        {"serving": {"runtime": "Triton 3"}},
        "spec.serving.runtime: Invalid value",
    ),
    (
        "no accelerator's name",
        {"serving": {"accelerator": {"resource": "a b"}}},
        "spec.serving.accelerator.resource: Invalid value",
    ),
    (
        "requests above the limits",
        {"build": {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1024Mi"}}}},
        "spec.build.resources.requests: Invalid value",
    ),
    (
        "an amount that is none",
        {"serving": {"resources": {"limits": {"memory": "4 GB"}}}},
        "spec.serving.resources.limits.memory: Invalid value",
    ),
    (
        "an amount below none",
        {"build": {"resources": {"requests": {"cpu": -1}}}},
        "spec.build.resources.requests.cpu: Invalid value: -1",
    ),
    (
        "a toleration of everything with a value",
        {"serving": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}},
        "spec.serving.tolerations[0].value: Invalid value",
    ),
    (
        "a variable twice",
        {"serving": {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}},
        'spec.serving.env[1]: Duplicate value: {"name":"A"}',
    ),
    (
        "a label that Kubernetes does not take",
        {"serving": {"podLabels": {"team": "shoes and more"}}},
        "spec.serving.podLabels.team: Invalid value",
    ),
    (
        "a build that may take for ever",
        {"build": {"timeoutMinutes": 0}},
        "spec.build.timeoutMinutes: Invalid value: 0",
    ),
    (
        "a strategy nobody knows",
        {"rollout": {"strategy": "Recreate"}},
        'spec.rollout.strategy: Unsupported value: "Recreate": supported values: "Rolling"',
    ),
    (
        "a field in the wrong place",
        {"maxBatchSize": 4},
        'unknown field "spec.maxBatchSize"',
    ),
]


@pytest.fixture(scope="module")
def kubectl(kubeconfig: Path) -> Iterator[Kubectl]:
    with namespace_of_its_own(kubeconfig) as kubectl:
        yield kubectl


@pytest.mark.parametrize(("change", "message"), [row[1:] for row in BAD], ids=[r[0] for r in BAD])
def test_refuses(kubectl: Kubectl, change: Json, message: str) -> None:
    assert message in refusal(kubectl, agent("bad", merged(SMALLEST, change)))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("s" * 41, id="too long for a Service of its own"),
        pytest.param("3shoes", id="begins with a digit"),
        pytest.param("shoes.v2", id="has a dot"),
    ],
)
def test_refuses_a_name(kubectl: Kubectl, name: str) -> None:
    assert (
        "metadata.name must have at most 40 of a-z, 0-9 and '-', start with a letter and end with"
        " a letter or digit, since a Service is named after it; choose another name"
    ) in refusal(kubectl, agent(name, SMALLEST))


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        pytest.param("smallest", SMALLEST, id="the smallest agent"),
        pytest.param("s" * 40, SMALLEST, id="the longest name"),
        pytest.param("full", FULL, id="an agent with every field"),
        pytest.param("labelled", SMALLEST | {"act": LABELLED}, id="as many labels as may be"),
        pytest.param("two-inputs", merged(SMALLEST, TWO_INPUTS), id="steps for each of two inputs"),
        pytest.param("wide", merged(SMALLEST, WIDE), id="scripts at both ends of many tensors"),
        *(
            pytest.param(
                f"source-{number}",
                merged(SMALLEST, source(uri=uri, sha256="9f" * 32)),
                id=f"a source at {uri}",
            )
            for number, uri in enumerate(
                (
                    "https://models.example:8443/shoes v3/net.onnx",
                    "s3://models.example/shoes/net.onnx",
                    "gs://models_of-us.example/shoes/net.onnx",
                    "az://models/shoes/net.onnx",
                    "hf://example/all-MiniLM-L6.v2@1110a243fdf4706b3f48f1d95db1a4f5529b4d41/a/m.onnx",
                    "oci://registry.example:5000/models/shoes_2:v3.1-rc/shoes.onnx",
                    f"oci://registry.example/shoes@sha256:{'9f' * 32}/deep/shoes.onnx",
                )
            )
        ),
    ],
)
def test_takes(kubectl: Kubectl, name: str, spec: Json) -> None:
    kubectl.apply(agent(name, spec))

    stored = kubectl.json("get", "dlagent", name)["spec"]
    assert spec == subset(stored, spec)
    # What the apiserver stores is what the operator reads.
    DLAgentSpec.model_validate(stored)


def test_every_field_of_the_spec_is_in_the_full_agent() -> None:
    """So that no field is in the schema that the apiserver was never seen to keep."""
    spec = DLAgentSpec.model_validate(FULL)
    parts = (spec, spec.model, spec.model.source, spec.build, spec.slo.latency, spec.rollout)
    for part in parts:
        assert set(type(part).model_fields) == part.model_fields_set, type(part).__name__
    # What serving has in common with build is seen there.
    assert set(Serving.model_fields) == spec.serving.model_fields_set | set(
        PodPlacement.model_fields
    )


def subset(stored: Any, wanted: Any) -> Any:
    """`stored` without what the apiserver added by default."""
    if isinstance(wanted, dict):
        return {key: subset(stored[key], value) for key, value in wanted.items() if key in stored}
    if isinstance(wanted, list):
        return [subset(item, given) for item, given in zip(stored, wanted, strict=True)]
    return stored


def test_scale_writes_replicas_in_mode_manual(kubectl: Kubectl) -> None:
    kubectl.apply(agent("manual", merged(SMALLEST, {"scaling": {"mode": "Manual"}, "replicas": 1})))

    kubectl("scale", "dlagent/manual", "--replicas=4")

    assert 4 == kubectl.json("get", "dlagent", "manual")["spec"]["replicas"]


def test_scale_is_refused_otherwise(kubectl: Kubectl) -> None:
    kubectl.apply(agent("automatic", SMALLEST))

    with pytest.raises(KubectlError, match=r"set scaling\.mode: Manual"):
        kubectl("scale", "dlagent/automatic", "--replicas=4")


def test_explain_describes_every_field(kubectl: Kubectl) -> None:
    def explained() -> str:
        return kubectl("explain", "dlagent.spec.slo.latency")

    text = eventually(explained, lambda text: "thresholdMilliseconds" in text, what="explain")
    assert "A request is good when it is answered within this time." in " ".join(text.split())


def test_get_all_shows_agents(kubectl: Kubectl) -> None:
    kubectl.apply(agent("among-all", SMALLEST))

    assert "dlagent.dlagent.io/among-all" in kubectl("get", "all")
