"""How a stage says that the build cannot go on: a reason of the closed list, and what to do."""

from dlagent.domain.artifact.summary import FailureReason


class BuildError(Exception):
    """`message` names the cause and the remedy; the pipeline puts the stage before it."""

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
