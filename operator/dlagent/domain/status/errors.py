"""What can go wrong outside: adapters raise these, and the reconcilers know what to do then."""


class ClusterError(Exception):
    """A request that the cluster refused or did not answer.

    `status` is the HTTP status, None where no answer came (refused connection, time-out): then
    the write may or may not have happened.
    """

    def __init__(self, status: int | None, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def conflict(self) -> bool:
        """True where the write was based on an object that has changed since (409)."""
        return self.status == 409


class NameTakenError(ClusterError):
    """An object that the agent needs has the name of one that is not the agent's."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(
            422,
            f"{kind} {name} of this namespace is not this agent's, and the agent needs one of that"
            " name. Give the agent another name, or delete what has it.",
        )


class PodUnreachable(Exception):
    """A serving pod gave no answer, so that nothing is known about it yet."""
