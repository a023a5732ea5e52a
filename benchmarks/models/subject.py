"""What a benchmark of the build needs of a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from dlagent.api.types import Metric

Arrays = Mapping[str, NDArray[Any]]
# Outputs of the network, before and after, on inputs that no build has seen, to one number.
Measure = Callable[[NDArray[Any]], float]


@dataclass(frozen=True)
class Subject:
    """One network.

    `program` and `dataset` are files; `inputs` are what the network takes, of examples that no
    build has seen, and `measure` makes of its outputs the figure that people compare.
    """

    name: str
    program: Path
    dataset: Path
    metric: Metric
    max_drop: str
    inputs: Arrays
    measure: Measure
    measure_name: str
    perceive: tuple[Mapping[str, Any], ...] = ()
    raw_inputs: tuple[Mapping[str, Any], ...] = ()
    student: Path | None = None
