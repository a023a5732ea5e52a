"""Why what is for accelerators is not tried. Pure; called by fp16 and tensorrt."""

from dlagent.domain.search.candidate import Facts

_CPU = "cpu"


def reason_against(facts: Facts, on_cpu: str) -> str:
    """`on_cpu` says why it is nothing for a CPU."""
    if facts.accelerator == _CPU:
        return f"the agent is served on a CPU (spec.serving.accelerator is not set): {on_cpu}"
    return (
        f"builds run on a CPU and could not compare it on {facts.accelerator}; ONNX Runtime"
        " serves FP32 or INT8 there"
    )
