"""`dlagent local`: commands over the local cluster. The main command line mounts `app`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from dlagent_local import doctor as checks
from dlagent_local import target, tools, volumes
from dlagent_local.addresses import NoFreeBlockError
from dlagent_local.cluster import Cluster, NotRunningError
from dlagent_local.control import UnknownComponentError
from dlagent_local.deploy import DeployError
from dlagent_local.kube import ApiError
from dlagent_local.plan import NODE
from dlagent_local.recipes import BuildError, install

app = typer.Typer(
    name="local",
    help="A real Kubernetes on this machine: etcd to kubelet, without a container engine or root.",
    no_args_is_help=True,
    add_completion=False,
)
out = Console()
err = Console(stderr=True)

Name = Annotated[str, typer.Option("--name", help="Which local cluster.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="The namespace.")]

_EXPECTED = (
    ApiError,
    BuildError,
    DeployError,
    NoFreeBlockError,
    NotRunningError,
    OSError,
    TimeoutError,
    UnknownComponentError,
    ValueError,
    tools.MissingToolError,
)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Errors that have a remedy in their message are printed without a traceback."""
    try:
        yield
    except _EXPECTED as error:
        err.print(f"[red]error:[/red] {error}", highlight=False, markup=True)
        raise typer.Exit(1) from error


class BarProgress:
    """Steps as lines with a bar, the estimate of what remains, and the time taken."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def begin(self, step: str, message: str) -> None:
        self._tasks[step] = self._bars.add_task(f"{step}: {message}", total=None)

    def advance(self, step: str, message: str, done: float | None) -> None:
        total = None if done is None else 1.0
        self._bars.update(
            self._tasks[step], description=f"{step}: {message}", total=total, completed=done or 0.0
        )

    def end(self, step: str) -> None:
        self._bars.update(self._tasks[step], description=f"{step}: done", total=1.0, completed=1.0)
        self._bars.stop_task(self._tasks[step])


@contextmanager
def progress() -> Iterator[BarProgress]:
    """Progress on standard error, as bars on a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeRemainingColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=err) as bars:
        yield BarProgress(bars)


@app.command()
def up(
    name: Name = "default",
    operator: Annotated[bool, typer.Option(help="Install the operator as well.")] = True,
) -> None:
    """Start the cluster; what it needs is built on the first run. Prints its kubeconfig."""
    cluster = Cluster(name)
    with readable_errors(), progress() as shown:
        cluster.up(shown, operator=operator)
    out.print(f"export KUBECONFIG={cluster.kubeconfig}", highlight=False, soft_wrap=True)


@app.command()
def down(name: Name = "default") -> None:
    """Stop the cluster and remove all of its state."""
    with readable_errors():
        was_running = Cluster(name).down()
    out.print(f"{name}: {'stopped' if was_running else 'was not running'}")


@app.command()
def status(name: Name = "default") -> None:
    """The components with their state, restarts and memory. Ends with 1 when it is not up."""
    with readable_errors():
        found = Cluster(name).status()
    if not found.running:
        out.print(f"{name}: not running")
        raise typer.Exit(1)
    table = Table("component", "state", "restarts", "MiB")
    for each in found.components:
        mebibytes = str(each.memory_bytes >> 20)
        table.add_row(each.name, each.state, str(each.restarts), mebibytes)
    table.add_row("all, supervisor included", "", "", str(found.memory_bytes >> 20))
    out.print(table)
    out.print(f"export KUBECONFIG={found.kubeconfig}", highlight=False, soft_wrap=True)


@app.command()
def doctor() -> None:
    """Check that this machine can run it; says what to do about what is missing."""
    failed = False
    for check in checks.judge(checks.examine()):
        mark = "[green]ok[/green]  " if check.good else "[red]FAIL[/red]"
        out.print(f"{mark} {check.what}: {check.found}", highlight=False)
        if not check.good:
            failed = True
            out.print(f"       {check.remedy}", highlight=False)
    if failed:
        raise typer.Exit(1)


@app.command()
def url(
    agent: Annotated[str, typer.Argument(help="The agent, or any other Service.")],
    namespace: Namespace = "default",
    name: Name = "default",
) -> None:
    """The URL of an agent, which stays the same through roll-outs."""
    with readable_errors():
        out.print(Cluster(name).service_url(namespace, agent), highlight=False, soft_wrap=True)


@app.command()
def logs(
    component: Annotated[str, typer.Argument(help="As `status` names it, or `supervisor`.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    name: Name = "default",
) -> None:
    """The log of a component. Those of pods: `dlagent local kubectl logs POD`."""
    file = Cluster(name).log_file(component)
    if not file.exists():
        err.print(f"[red]error:[/red] no log of {component!r} in cluster {name!r}")
        raise typer.Exit(1)
    command = ["tail", "-n", "+1", *(["-f"] if follow else []), str(file)]
    raise typer.Exit(subprocess.run(command).returncode)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def kubectl(
    context: typer.Context,
    name: Name = "default",
) -> None:
    """Run kubectl against the cluster, or against your own where KUBECONFIG names one."""
    with readable_errors():
        program = tools.kubectl()
        kubeconfig = target.resolve(None, name)
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    raise typer.Exit(subprocess.run([program, *context.args], env=environment).returncode)


@app.command()
def copy(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What to copy.")],
    destination: Annotated[str, typer.Argument(help="pvc://CLAIM/PATH")],
    namespace: Namespace = "default",
    name: Name = "default",
) -> None:
    """Copy a file into the volume of a claim, which is made when it is missing."""
    with readable_errors():
        volumes.copy(Cluster(name), file, volumes.PvcUri.parse(destination), namespace)
    out.print(f"{file} is at {destination}", highlight=False, soft_wrap=True)


@app.command()
def gpus(
    count: Annotated[int, typer.Argument(min=0, help="How many the node has from now on.")],
    resource: Annotated[str, typer.Option(help="The name of the resource.")] = "nvidia.com/gpu",
    name: Name = "default",
) -> None:
    """Give the node accelerators in name, so that scheduling and its limits are real."""
    with readable_errors():
        # Kubelet would copy the one to the other, some seconds later.
        amount = {resource: str(count)}
        patch = {"status": {"capacity": amount, "allocatable": amount}}
        Cluster(name).kube().merge(f"/api/v1/nodes/{NODE}/status", patch)
    out.print(f"{resource}: {count}", highlight=False)


@app.command()
def prefetch() -> None:
    """Build and install all that is cached, so that `up` takes seconds."""
    with readable_errors(), progress() as shown:
        install(shown)
