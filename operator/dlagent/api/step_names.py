"""Which tensors the steps of perceive and act may name: rules of the spec as a whole."""

from dlagent.api.base import Rule

# With python in front of them, steps work on what it makes in place of model.inputs.
_PYTHON = "size(self.perceive) > 0 && has(self.perceive[0].python)"
_PYTHON_IN_FRONT = f"has(self.perceive) && {_PYTHON}"
_MADE = "self.perceive[0].python.outputs"

# What steps may name of model.inputs and model.outputs, where these are declared.
NAME_RULES = (
    Rule(
        f"!({_PYTHON_IN_FRONT}) || has(self.model.inputs)",
        "must be set where perceive has python, since nothing else says what clients send; declare"
        " its names, types and shapes",
        ".model.inputs",
    ),
    Rule(
        f"!has(self.perceive) || {_PYTHON} || !has(self.model.inputs) ||"
        " size(self.model.inputs) == 1 || self.perceive.all(step, has(step.input))",
        "each step must have input, since model.inputs has several; add input: NAME to each step",
        ".perceive",
    ),
    Rule(
        f"!has(self.perceive) || {_PYTHON} || !has(self.model.inputs) ||"
        " self.perceive.all(step, !has(step.input) ||"
        " self.model.inputs.exists(tensor, tensor.name == step.input))",
        "the input of a step is none of model.inputs; write one of their names",
        ".perceive",
    ),
    Rule(
        f"!({_PYTHON_IN_FRONT}) || size({_MADE}) == 1 ||"
        " self.perceive.all(step, has(step.python) || has(step.input))",
        "each step after python must have input, since python has several outputs; add input: NAME"
        " to each step",
        ".perceive",
    ),
    Rule(
        f"!({_PYTHON_IN_FRONT}) || self.perceive.all(step, !has(step.input) ||"
        f" {_MADE}.exists(tensor, tensor.name == step.input))",
        "the input of a step is none of the outputs of python before it; write one of their names",
        ".perceive",
    ),
    Rule(
        "!has(self.act) || size(self.act) == 0 || !has(self.model.outputs) ||"
        " size(self.model.outputs) == 1 || has(self.act[0].output) || has(self.act[0].python)",
        "the first step must have output, since model.outputs has several; add output: NAME to it",
        ".act",
    ),
    Rule(
        "!has(self.act) || !has(self.model.outputs) || self.act.all(step,"
        " !has(step.output) || self.model.outputs.exists(tensor, tensor.name == step.output))",
        "the output of a step is none of model.outputs; write one of their names",
        ".act",
    ),
    Rule(
        f"!has(self.act) || !has(self.model.inputs) || ({_PYTHON_IN_FRONT}) ||"
        " self.act.all(step, !has(step.meanPooling) ||"
        " self.model.inputs.exists(tensor, tensor.name == step.meanPooling.mask))",
        "the mask of meanPooling is none of model.inputs; write one of their names",
        ".act",
    ),
    Rule(
        f"!has(self.act) || !({_PYTHON_IN_FRONT}) || self.act.all(step, !has(step.meanPooling) ||"
        f" {_MADE}.exists(tensor, tensor.name == step.meanPooling.mask))",
        "the mask of meanPooling is none of the outputs of python in perceive; write one of their"
        " names",
        ".act",
    ),
)
