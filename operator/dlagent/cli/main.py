"""`dlagent`, also installed as the kubectl plugin `kubectl-dlagent`: picks the command.

Each command is a typer app of its own, imported only when it is the one asked for: `dlagent --help`
stays quick, and a part that is not installed (torch, the local cluster) is missed only by its own
command.
"""

import importlib
import os
import sys
from pathlib import Path

import typer

from dlagent import __version__
from dlagent.cli.errors import CliError

_DELEGATED = {"allow_extra_args": True, "ignore_unknown_options": True}
_INTERNAL_ERROR = 70  # sysexits.h: EX_SOFTWARE
_INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="""Serve deep-learning agents on Kubernetes under a latency promise.

An agent is one resource of kind DLAgent: where its model lies, how a request becomes tensors,
how tensors become the answer, how fast the answer must be. The operator builds and serves it.

[bold]First steps[/bold]

  dlagent local up                   a Kubernetes on this machine, with the operator

  kubectl apply -f agent.yaml        hand an agent to the operator

  kubectl get dlagents               is it live?

  dlagent infer AGENT picture.png    ask it

  dlagent bench AGENT --rate 40      see how fast it answers

  dlagent report AGENT               which version of the model serves, and why

  dlagent explain AGENT              why it has as many replicas as it has

Each command explains itself: dlagent COMMAND --help.""",
)


def _delegate(context: typer.Context, module: str, needs: str) -> None:
    """Run the typer app `module.app` on the rest of the command line."""
    try:
        commands = importlib.import_module(module).app
    except ModuleNotFoundError as error:
        raise CliError(f"this command needs {needs}: {error}") from error
    program = f"{context.find_root().info_name} {context.info_name}"
    commands(args=context.args, prog_name=program)


@app.command(context_settings=_DELEGATED, add_help_option=False)
def infer(context: typer.Context) -> None:
    """Send a picture, .npy or .json to an agent and print its answer."""
    _delegate(context, "dlagent.cli.infer", "pip install . in the project's folder")


@app.command(context_settings=_DELEGATED, add_help_option=False)
def bench(context: typer.Context) -> None:
    """Put a load on an agent: constant, rising and falling, or as in a trace."""
    _delegate(context, "dlagent.cli.bench", "pip install . in the project's folder")


@app.command(context_settings=_DELEGATED, add_help_option=False)
def build(context: typer.Context) -> None:
    """Build a model repository from a model file, without a cluster."""
    _delegate(context, "dlagent.cli.build", "pip install '.[build]'")


@app.command(context_settings=_DELEGATED, add_help_option=False)
def report(context: typer.Context) -> None:
    """What a build tried, measured and chose: of an agent, or of a folder."""
    _delegate(context, "dlagent.cli.report", "pip install . in the project's folder")


@app.command(context_settings=_DELEGATED, add_help_option=False)
def explain(context: typer.Context) -> None:
    """Why an agent has as many replicas as it has, now or at a time in the past; what it cost."""
    _delegate(context, "dlagent.cli.explain", "pip install . in the project's folder")


@app.command(context_settings=_DELEGATED, add_help_option=False)
def replay(context: typer.Context) -> None:
    """Which autoscaler keeps a promise on a trace, on how many replicas: before you install one."""
    _delegate(context, "dlagent.cli.replay", "pip install '.[replay]'")


@app.command(context_settings=_DELEGATED, add_help_option=False)
def artifacts(context: typer.Context) -> None:
    """Look after what builds have made: list, show, verify, prune."""
    _delegate(context, "dlagent.cli.artifacts", "pip install . in the project's folder")


@app.command(context_settings=_DELEGATED, add_help_option=False)
def operator(context: typer.Context) -> None:
    """Run the operator on this machine, for instance under a debugger."""
    _delegate(context, "dlagent.cli.operator", "pip install . in the project's folder")


@app.command(context_settings=_DELEGATED, add_help_option=False)
def local(context: typer.Context) -> None:
    """A real Kubernetes on this machine: up, down, status, doctor, url, logs, kubectl."""
    _delegate(
        context,
        "dlagent_local.cli",
        "pip install '.[local]' and the project's folder local/ on PYTHONPATH",
    )


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"dlagent {__version__}")


def main() -> None:
    """Entry point: errors become one line on stderr and an exit code, never a traceback.

    Exit codes: 0 done; 1 an error that the message explains; 2 a wrong command line; 70 a bug;
    130 interrupted.
    """
    try:
        app(prog_name="kubectl dlagent" if _is_kubectl_plugin() else "dlagent")
    except CliError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    except Exception as error:  # the process boundary: what is left is a bug of ours
        if os.environ.get("DLAGENT_DEBUG"):
            raise
        text = f"{type(error).__name__}: {error} (a bug; DLAGENT_DEBUG=1 shows where)"
        _fail(text, _INTERNAL_ERROR)


def _is_kubectl_plugin() -> bool:
    return Path(sys.argv[0]).name.startswith("kubectl-")


def _fail(message: str, exit_code: int) -> None:
    typer.echo(f"error: {message}", err=True)
    raise SystemExit(exit_code)


if __name__ == "__main__":
    main()
