"""The registry of optimisations: adding one is a module here and a line below.

In the order of planning: what builds on the candidates of others comes after them.
"""

from dlagent.build.optimisations.base import Optimisation

OPTIMISATIONS: tuple[Optimisation, ...] = ()
