"""`dlagent report`: what a build tried, measured and chose."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from dlagent.cli.agent_report import fetch_report
from dlagent.cli.endpoints import NotFoundError
from dlagent.cli.errors import CliError
from dlagent.domain.artifact.layout import REPORT
from dlagent.domain.artifact.report import Report, ReportError, parse_report
from dlagent.report import tables
from dlagent.report.words import headline, replay_options

_WIDE, _SPARED_COLUMNS = 100, 2  # letters in a line; size and time of making

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def report(
    what: Annotated[
        str,
        typer.Argument(
            metavar="AGENT|PATH",
            help="Name of an agent; or a report.json, an artifact's folder, the --out of a build.",
        ),
    ],
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="The agent's; default: the kubeconfig's."),
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Default: $KUBECONFIG, then ~/.kube/config.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write all of it as a page that needs no network.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option(help="Write the picture: accuracy against latency.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json itself.")] = False,
) -> None:
    """Say what a build tried, what it measured, what it chose, and why.

    Of an agent: the build of the artifact that its pods have loaded. What is there as a file or
    folder is taken for that, unless -n is given.

    Examples:

      dlagent report fashion-mnist

      dlagent report fashion-mnist -n vision --html report.html

      dlagent report model_repo --png report.png
    """
    _check_outputs(html, png)
    found = _find(what, namespace, kubeconfig)
    if as_json:
        typer.echo(found.to_json(), nl=False)
    for file, content in _drawn(found, html, png).items():
        _write(file, content)
        typer.echo(f"wrote {file}", err=True)
    if not (as_json or html or png):
        show(Console(), found)


def _find(what: str, namespace: str | None, kubeconfig: Path | None) -> Report:
    path = Path(what)
    if namespace is None and path.exists():
        return read_report(path)
    if "/" in what or path.suffix == ".json":
        raise CliError(f"{what}: no such file or folder")
    try:
        return fetch_report(what, namespace, kubeconfig)
    except NotFoundError as error:
        if namespace is not None:
            raise
        raise CliError(f"{what}: no such file or folder, and {error}") from error


def read_report(path: Path) -> Report:
    """The report in a file, or in the folder of an artifact.

    Raises:
        CliError: there is none that can be read.
    """
    file = path / REPORT if path.is_dir() else path
    try:
        return parse_report(file.read_bytes())
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}") from error
    except ReportError as error:
        raise CliError(f"{file}: {error}") from error


def show(console: Console, found: Report) -> None:
    """Print the tables that matter most."""
    console.print(Text(headline(found), style="bold"))
    candidates = tables.candidates(found, brief=True)
    shown = [
        tables.speed(found),
        tables.tau(found),
        tables.accuracy(found),
        candidates if console.width >= _WIDE else _without(candidates, _SPARED_COLUMNS),
        _reasons(candidates, tables.rest(found)),
        _losses(tables.classes(found)),
    ]
    for table in shown:
        if table.rows:
            console.print()
            console.print(_rich(table))
            if table.note:
                console.print(Text(table.note, style="dim"))
    if options := replay_options(found):
        console.print("\nTo try its scaling on a trace, by the line through the times as served:")
        console.print(Text(f"dlagent replay TRACE {options}"))


def _without(table: tables.Table, columns: int) -> tables.Table:
    """Without its last columns, where there is no room for them."""
    rows = tuple(replace(row, cells=row.cells[:-columns]) for row in table.rows)
    return replace(table, columns=table.columns[:-columns], rows=rows)


def _reasons(measured: tables.Table, rest: tables.Table) -> tables.Table:
    """What the page has below the names, in a table of its own."""
    rows = [tables.Row((row.cells[0], row.cells[1], row.note)) for row in measured.rows]
    return tables.Table("Why", rest.columns, (*rows, *rest.rows), rest.texts)


def _losses(classes: tables.Table) -> tables.Table:
    """Of all classes those that lose most."""
    rows = tuple(row for row in classes.rows if row.marked)
    return tables.Table("Classes that lose most", classes.columns, rows, classes.texts)


def _rich(table: tables.Table) -> RichTable:
    made = RichTable(title=Text(table.title), title_justify="left", show_header=any(table.columns))
    for index, column in enumerate(table.columns):
        figure = index >= table.texts
        made.add_column(
            Text(column), justify="right" if figure else "left", no_wrap=figure, overflow="fold"
        )
    for row in table.rows:
        made.add_row(*map(Text, row.cells), style="bold green" if row.strong else None)
    return made


def _check_outputs(html: Path | None, png: Path | None) -> None:
    """Before anything is asked of a cluster: whether pictures can be drawn here."""
    wanted = {"matplotlib": html or png, "jinja2": html}
    missing = [name for name, file in wanted.items() if file and not _installed(name)]
    if missing:
        names = " and ".join(missing)
        raise CliError(f"--html and --png need {names}: pip install '.[report]'")


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _drawn(found: Report, html: Path | None, png: Path | None) -> dict[Path, bytes]:
    made: dict[Path, bytes] = {}
    if html is not None:
        from dlagent.report import page  # matplotlib, of an extra that may be missing

        made[html] = page.html(found).encode()
    if png is not None:
        from dlagent.report import picture

        made[png] = picture.png(found)
    return made


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}") from error
