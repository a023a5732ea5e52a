"""The registry of optimisations: adding one is a module here and a line below."""

from dlagent.build.optimisations.base import Optimisation
from dlagent.build.optimisations.dynamic_int8 import DynamicInt8
from dlagent.build.optimisations.fp16 import Fp16
from dlagent.build.optimisations.fp32 import Fp32
from dlagent.build.optimisations.mixed_int8 import MixedInt8
from dlagent.build.optimisations.pruned import Pruned
from dlagent.build.optimisations.static_int8 import StaticInt8
from dlagent.build.optimisations.student import Student
from dlagent.build.optimisations.tensorrt import TensorRt
from dlagent.build.optimisations.transformer import Fusion


def optimisations() -> tuple[Optimisation, ...]:
    """Those of one build, in the order of planning: what builds on others comes after them."""
    return (
        Fp32(),
        Fusion(),
        Pruned(),
        Student(),
        StaticInt8(),
        MixedInt8(),
        DynamicInt8(),
        Fp16(),
        TensorRt(),
    )
