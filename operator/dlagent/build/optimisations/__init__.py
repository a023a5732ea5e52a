"""The registry of optimisations: adding one is a module here and a line below.

In the order of planning: what builds on the candidates of others comes after them.
"""

from dlagent.build.optimisations.base import Optimisation
from dlagent.build.optimisations.pruned import Pruned
from dlagent.build.optimisations.student import Student

OPTIMISATIONS: tuple[Optimisation, ...] = (
    Pruned(),
    Student(),
)
