"""`dlagent infer`: send a file to an agent and print the answer."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from dlagent.cli.agent_client import AgentClient, Answer
from dlagent.cli.endpoints import find_endpoint
from dlagent.cli.errors import CliError
from dlagent.cli.inputs import read_inputs

ROWS_SHOWN = 10
VALUES_SHOWN = 12

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def infer(
    agent: Annotated[str, typer.Argument(help="Name of the agent.")],
    file: Annotated[Path, typer.Argument(help="A picture, .npy or .json.")],
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Its namespace; default: the kubeconfig's."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Ask this address and no cluster, e.g. http://host:8000.")
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Default: $KUBECONFIG, then ~/.kube/config.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outputs as JSON.")] = False,
    resize: Annotated[
        bool,
        typer.Option(help="Fit a picture of another size or colour to what the agent takes."),
    ] = False,
) -> None:
    """Send a picture, .npy or .json to an agent and print its answer.

    A picture must have the agent's size and colour channels, unless --resize is given. An .npy
    holds one example or a batch. A .json holds nested lists, an object of one list for each
    input, or a complete request {"inputs": [...]} of the KServe v2 protocol.

    Examples:

      dlagent infer fashion-mnist boot.png

      dlagent infer fashion-mnist batch.npy -n vision --json

      dlagent infer fashion-mnist photo.jpg --resize --url http://10.0.0.7:8000
    """
    if not file.is_file():
        raise CliError(f"{file}: no such file")
    with find_endpoint(agent, namespace, url, kubeconfig) as endpoint:
        client = AgentClient(endpoint, agent)
        model = client.model()
        answer = client.infer(model, read_inputs(file, model, resize))
    if as_json:
        outputs = {name: _plain(value.tolist()) for name, value in answer.items()}
        typer.echo(json.dumps({"outputs": outputs}))
    else:
        _print(agent, answer, batched=model.batched)


def _print(agent: str, answer: Answer, batched: bool) -> None:
    """One table: a row for each example, or, for one example, a row for each value."""
    console = Console()
    rows = {len(value) for value in answer.values()} if batched else {1}
    if batched and rows != {1}:
        console.print(_batch_table(agent, answer, max(rows)))
        return
    one = {name: value[0] if batched else value for name, value in answer.items()}
    console.print(_single_table(agent, one))


def _single_table(agent: str, answer: Answer) -> Table:
    table = Table(title=f"{agent} answers", caption_justify="left")
    columns = {name: np.atleast_1d(value) for name, value in answer.items()}
    if any(value.ndim > 1 for value in columns.values()):
        columns = {name: value.reshape(-1) for name, value in columns.items()}
        table.caption = "outputs with several axes are shown flat"
    table.add_column("#", justify="right", style="dim")
    for name in columns:
        table.add_column(name, justify="right")
    longest = max(len(value) for value in columns.values())
    for index in range(min(longest, VALUES_SHOWN)):
        cells = [_text(v[index]) if index < len(v) else "" for v in columns.values()]
        table.add_row(str(index + 1), *cells)
    if longest > VALUES_SHOWN:
        table.caption = f"the first {VALUES_SHOWN} of {longest} values; --json gives all"
    return table


def _batch_table(agent: str, answer: Answer, rows: int) -> Table:
    table = Table(title=f"{agent} answers")
    table.add_column("example", justify="right", style="dim")
    for name in answer:
        table.add_column(name)
    for row in range(min(rows, ROWS_SHOWN)):
        table.add_row(str(row + 1), *(_line(value[row]) for value in answer.values()))
    if rows > ROWS_SHOWN:
        table.caption = f"the first {ROWS_SHOWN} of {rows} examples; --json gives all"
    return table


def _line(value: Any) -> str:
    flat = np.atleast_1d(value).reshape(-1)
    shown = "  ".join(_text(item) for item in flat[:VALUES_SHOWN])
    return shown + (f"  ... {len(flat)} values" if len(flat) > VALUES_SHOWN else "")


def _plain(value: Any) -> Any:
    """Nested lists with text in place of bytes, which JSON does not have."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return f"{value:.4f}" if isinstance(value, float | np.floating) else str(value)
