"""Static INT8: weights and activations in 8 bits, with ranges found beforehand on examples."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from dlagent.build.optimisations.base import Made, Workshop
from dlagent.build.optimisations.calibration import ranges
from dlagent.build.optimisations.quantise import (
    CALIBRATION_EXAMPLES,
    HEAVY,
    Scheme,
    operators_of,
    prepare,
    quantised,
)
from dlagent.build.optimisations.rules import (
    forbids,
    other_weights,
    saturates,
    share,
    version_of,
)
from dlagent.domain.data.split import Part
from dlagent.domain.search.candidate import Candidate, Facts, Plan, Precision, Skipped

NAME = "int8"
_PLAIN = Scheme("U8", "MinMax", reduce_range=False)
_SEVEN_BITS = Scheme("U8", "MinMax", reduce_range=True)
_SYMMETRIC = (
    Scheme("S8", "MinMax", reduce_range=False),
    Scheme("S8", "Entropy", reduce_range=False),
)
_FOR_SOURCE = (
    _PLAIN,
    Scheme("U8", "Entropy", reduce_range=False),
    Scheme("U8", "Percentile", reduce_range=False),
    *_SYMMETRIC,
)
# Only where 16 bits saturate.
_FOR_SATURATING = (_SEVEN_BITS, Scheme("U8", "Percentile", reduce_range=True))


class StaticInt8:
    """onnxruntime.quantization.quantize_static: several schemes of the source, few of the rest."""

    name = "static-int8"

    def plan(self, facts: Facts, planned: Sequence[Candidate]) -> Plan:
        reason = reason_against(facts)
        if reason is not None:
            return Plan(skipped=(Skipped(name=NAME, reason=reason),))
        if facts.compared_there:
            return self._symmetric(planned)
        saturating = saturates(facts.instruction_set)
        schemes = (*_FOR_SOURCE, *(_FOR_SATURATING if saturating else ()))
        candidates = [self._candidate(scheme, None) for scheme in schemes]
        for base in other_weights(planned):
            candidates.append(self._candidate(_PLAIN, base))
            if saturating:
                candidates.append(self._candidate(_SEVEN_BITS, base))
        unneeded = () if saturating else tuple(_unneeded(s, facts) for s in _FOR_SATURATING)
        return Plan(tuple(candidates), unneeded)

    def _symmetric(self, planned: Sequence[Candidate]) -> Plan:
        """For an accelerator: TensorRT takes no other schemes."""
        of_source = [self._candidate(scheme, None) for scheme in _SYMMETRIC]
        of_others = [self._candidate(_SYMMETRIC[0], base) for base in other_weights(planned)]
        return Plan((*of_source, *of_others))

    def _candidate(self, scheme: Scheme, base: Candidate | None) -> Candidate:
        name = scheme_name(scheme)
        return version_of(base, name, self.name, Precision.INT8, scheme.options())

    def make(self, candidate: Candidate, workshop: Workshop, effort: float) -> Made:
        base = workshop.base(candidate, effort)
        scheme = Scheme.of(candidate.options)
        inputs = workshop.inputs(Part.CALIBRATE, share(effort, CALIBRATION_EXAMPLES))
        with tempfile.TemporaryDirectory() as folder:
            prepared = prepare(base, Path(folder))
            tensors = ranges(prepared, inputs, scheme.calibration, operators_of(prepared))
            model = quantised(prepared, tensors, scheme, base)
        count = len(next(iter(inputs.values())))
        return Made(model, {"calibration": f"{scheme.calibration} on {count} examples"})


def reason_against(facts: Facts) -> str | None:
    """Why the source cannot be quantised statically; None where it can."""
    if not any(facts.operators.get(name, 0) for name in HEAVY):
        return f"the network has none of {', '.join(HEAVY)}, where INT8 is faster"
    return forbids(facts, Precision.INT8)


def scheme_name(scheme: Scheme) -> str:
    """Such as int8-u8s8-minmax; with -7bit where weights have 7 bits."""
    seven = "-7bit" if scheme.reduce_range else ""
    return f"{NAME}-{scheme.activations.lower()}s8-{scheme.calibration.lower()}{seven}"


def _unneeded(scheme: Scheme, facts: Facts) -> Skipped:
    return Skipped(
        name=scheme_name(scheme),
        reason=f"weights of 7 bits are for CPUs that add in 16 bits; this one has"
        f" {facts.instruction_set}",
    )
