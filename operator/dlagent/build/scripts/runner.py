"""`python -m dlagent.build.scripts.runner FD`: a script of a user in a process of its own.

Started by dlagent.build.scripts.process, which may end it at any time. It says first whether the
script could be imported, and then answers each question, until the connection is closed.
"""

import json
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from dlagent.build.scripts.member import Output, StepError, call, load_step
from dlagent.build.scripts.wire import receive_arrays, send_arrays

GOOD = b""  # before an answer; an error's text stands in its place


def main() -> None:
    """The program."""
    connection = Connection(int(sys.argv[1]))
    task = json.loads(connection.recv_bytes())
    outputs = [Output(**output) for output in task["outputs"]]
    try:
        step = load_step(Path(task["script"]))
    except StepError as error:
        connection.send_bytes(str(error).encode())
        return
    connection.send_bytes(GOOD)
    while True:
        try:
            batched = json.loads(connection.recv_bytes())
            inputs = receive_arrays(connection)
        except EOFError:
            return
        try:
            made = call(step, inputs, outputs, batched)
        except StepError as error:
            connection.send_bytes(str(error).encode())
        else:
            connection.send_bytes(GOOD)
            send_arrays(connection, made)


if __name__ == "__main__":
    main()
