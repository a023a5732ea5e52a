"""Rules that several optimisations plan by. Pure."""

from collections.abc import Mapping, Sequence

from dlagent.domain.search.candidate import Candidate, Facts, Option, Precision

NO_DATA = "it changes answers, and there are no examples to judge them on: set spec.build.dataset"
SERVED_ON_CPU = "the agent is served on a CPU (spec.serving.accelerator is not set)"
# They compute what the source computes, in another order: INT8 is made of the source itself.
_SAME_WEIGHTS = ("fp32", "fusion")
# CPUs that add products of 8-bit integers in 16 bits, where two of them may saturate
# (onnxruntime#12072); VNNI and AMX add in 32 bits.
_SATURATING = ("avx2", "avx512f", "x86_64")


def forbids(facts: Facts, precision: Precision) -> str | None:
    """Why the source cannot be made less precise, to this type; None where it can."""
    if facts.precision not in (None, precision):
        return f"spec.build.precision allows {facts.precision} only"
    if is_quantised(facts.operators):
        return "the source computes in INT8 already"
    return None if facts.calibrate_examples else NO_DATA


def saturates(instruction_set: str) -> bool:
    """Whether this CPU needs weights of 7 bits where activations have 8."""
    return instruction_set in _SATURATING


def other_weights(planned: Sequence[Candidate]) -> list[Candidate]:
    """The FP32 candidates that are networks of their own: pruned ones, the user's student."""
    return [
        candidate
        for candidate in planned
        if candidate.precision is Precision.FP32 and candidate.optimisation not in _SAME_WEIGHTS
    ]


def version_of(
    base: Candidate | None,
    name: str,
    optimisation: str,
    precision: Precision,
    options: Mapping[str, Option] | None = None,
) -> Candidate:
    """A candidate that is made of another one's network, or of the source where `base` is None.

    Who is trained, and who waits for a smaller one, is so in the other type too.
    """
    return Candidate(
        name=made_of(base.name, name) if base else name,
        optimisation=optimisation,
        precision=precision,
        base=base.name if base else None,
        options=dict(options or {}),
        trained=base.trained if base else False,
        smaller=made_of(base.smaller, name) if base and base.smaller else None,
    )


def made_of(base: str, name: str) -> str:
    """The name of a candidate that is made from another one's network."""
    return f"{base}+{name}"


def is_transformer(operators: Mapping[str, int]) -> bool:
    """Whether a graph has attention (Softmax between matrix products) and layer normalisation."""
    products = operators.get("MatMul", 0) + operators.get("Gemm", 0)
    normalised = ("LayerNormalization", "ReduceMean", "com.microsoft::SkipLayerNormalization")
    attention = operators.get("Softmax", 0) > 0 and products > 1
    fused = operators.get("com.microsoft::Attention", 0) > 0
    return (attention or fused) and any(operators.get(name, 0) for name in normalised)


def is_quantised(operators: Mapping[str, int]) -> bool:
    """Whether a graph computes with 8-bit integers already."""
    marks = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv")
    return any(operators.get(name, 0) for name in marks)


def share(effort: float, whole: int) -> int:
    """How many of `whole` are used at an effort above 0 and at most 1; at least one."""
    return max(1, round(effort * whole))
