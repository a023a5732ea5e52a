"""The registry of optimisations: adding one is a module here and a line below.

In the order of planning: what builds on the candidates of others comes after them.
"""

from dlagent.build.optimisations.base import Optimisation
from dlagent.build.optimisations.dynamic_int8 import DynamicInt8
from dlagent.build.optimisations.fp16 import Fp16
from dlagent.build.optimisations.fp32 import Fp32
from dlagent.build.optimisations.mixed_int8 import MixedInt8
from dlagent.build.optimisations.static_int8 import StaticInt8
from dlagent.build.optimisations.tensorrt import TensorRt
from dlagent.build.optimisations.transformer import Fusion

OPTIMISATIONS: tuple[Optimisation, ...] = (
    Fp32(),
    Fusion(),
    StaticInt8(),
    MixedInt8(),
    DynamicInt8(),
    Fp16(),
    TensorRt(),
)
