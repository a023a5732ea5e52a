"""What admission says of the steps before and after the network: spec.perceive and spec.act."""

from typing import Any

import pytest

from admission import IMAGE, SMALLEST, agent, python, refusal
from harness import Json, Kubectl, merged


def perceive(**step: Any) -> Json:
    return {"perceive": [step]}


TEXT: Json = {"name": "name", "dataType": "BYTES", "shape": [1]}
PAIR: list[Json] = [{"name": n, "dataType": "INT64", "shape": [-1]} for n in "ab"]
PYTHON = python({"name": "x", "dataType": "FP32", "shape": [28, 28]})


# What is wrong, the change that makes it so, and what kubectl prints of it.
BAD: list[tuple[str, Json, str]] = [
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
        "spec.perceive[0].normalize.std: Invalid value: must be above 0, since it divides;"
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
]


@pytest.mark.parametrize(("change", "message"), [row[1:] for row in BAD], ids=[r[0] for r in BAD])
def test_refuses(kubectl: Kubectl, change: Json, message: str) -> None:
    assert message in refusal(kubectl, agent("bad", merged(SMALLEST, change)))
