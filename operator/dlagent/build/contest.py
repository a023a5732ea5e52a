"""What all candidates of a search have in common: who makes them, who judges them, and by what.

Used by dlagent.build.search and dlagent.build.finals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from onnx import ModelProto

from dlagent.build.machines import Runner
from dlagent.build.optimisations.base import Made
from dlagent.build.race import Feed
from dlagent.build.runtime import Answering
from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.report import GateResult
from dlagent.domain.gate.limit import Limit
from dlagent.domain.search.candidate import SOURCE, Candidate

Start = Callable[[bytes, Engine], Runner]


@dataclass(frozen=True)
class Score:
    """What a network keeps on the selection examples.

    `metric` is None without a data set; `at_least` and `at_most` are limits of the drop on all such
    examples, each 95 % sure.
    """

    metric: float | None
    drop: float
    at_least: float
    at_most: float


@dataclass(frozen=True)
class GateOpinion:
    """How a finalist stands before the gate, and a sentence about it."""

    result: GateResult
    sentence: str


class Maker(Protocol):
    def make(self, candidate: Candidate, effort: float) -> Made: ...


class Jury(Protocol):
    """Judges networks by their answers."""

    def score(self, session: Answering, share: float) -> Score:
        """On the first `share` of the selection examples.

        Raises:
            OptimisationError: the answers cannot be used, such as those that are not numbers.
        """
        ...

    def metric(self, session: Answering) -> float | None:
        """What a network reaches on all selection examples; None without a data set."""
        ...

    def gate(self, sessions: Mapping[str, Answering], others: int) -> dict[str, GateOpinion]:
        """Finalists, all at once; so many others failed before, or may be judged later."""
        ...


@dataclass(frozen=True)
class Contest:
    """`feeds` are batches of the sizes `batches`, smallest first; `session` runs the source.

    `start` makes a network in ONNX ready to run; it raises BuildError, RunError.
    """

    maker: Maker
    jury: Jury
    start: Start
    source: ModelProto
    session: Runner
    feeds: Sequence[Feed]
    batches: Sequence[int]
    limit: Limit
    say: Callable[[str], None]

    def model(self, candidate: Candidate) -> ModelProto:
        """As it is made in full."""
        return self.source if candidate.name == SOURCE else self.maker.make(candidate, 1.0).model
