"""The error that a command shows its user: main.py prints the message and exits with the code."""


class CliError(Exception):
    """Something that the user can act on; the message says what and how."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
