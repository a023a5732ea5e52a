"""`dlagent artifacts`: what is in a store, whether it is whole, and away with what is unused."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.filesize import decimal
from rich.table import Column, Table

from dlagent.adapters.store import (
    ArtifactCorruptError,
    ArtifactMissingError,
    open_store,
)
from dlagent.cli.errors import CliError
from dlagent.cli.store_pod import ClusterStore, open_cluster_store
from dlagent.domain.artifact.layout import ARTIFACTS, DOWNLOADS, MANIFEST, STAGING
from dlagent.domain.artifact.manifest import Manifest
from dlagent.domain.sweep.unused import SHORT_KEY, SweepReport
from dlagent.store.inventory import Inventory, inventory, read, verified
from dlagent.store.sweep import sweep

_SECONDS_AN_HOUR = 3600.0
_SHOWN = 12  # characters of a key
_WEEK_HOURS = 168.0
_BEFORE_THE_FIRST = {STAGING, DOWNLOADS, "lost+found"}  # what a store may hold without an artifact

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="""Look after the artifacts that builds have made.

Of the cluster's namespace (-n) they are read by a pod that lasts for one question; a folder or a
URL of an object store (--store) is read from here, with the credentials of the environment.""",
)
out = Console()
T = TypeVar("T")

Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="A folder, s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH, in place of a"
        " cluster.",
    ),
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Default: the kubeconfig's.")
]
Kubeconfig = Annotated[Path | None, typer.Option(help="Default: $KUBECONFIG, then ~/.kube/config.")]


class Keeper(Protocol):
    """A store, wherever it is. Raises CliError."""

    def inventory(self) -> Inventory: ...
    def verify(self, keys: list[str]) -> Inventory: ...
    def read(self, key: str, path: str) -> bytes: ...
    def sweep(self, keep: list[str], grace_hours: float, dry_run: bool) -> SweepReport: ...
    def users(self) -> dict[str, set[str]]: ...


class LocalStore:
    """A folder or an object store that this machine can reach; of agents it knows nothing."""

    def __init__(self, location: str) -> None:
        if "://" not in location:
            _told(lambda: _check_folder(Path(location)))
        self._store = _told(lambda: open_store(location))

    def inventory(self) -> Inventory:
        return _told(lambda: inventory(self._store))

    def verify(self, keys: list[str]) -> Inventory:
        return _told(lambda: verified(self._store, keys))

    def read(self, key: str, path: str) -> bytes:
        return _told(lambda: read(self._store, key, path))

    def sweep(self, keep: list[str], grace_hours: float, dry_run: bool) -> SweepReport:
        grace_seconds = grace_hours * _SECONDS_AN_HOUR
        return _told(lambda: sweep(self._store, keep, time.time(), grace_seconds, dry_run))

    def users(self) -> dict[str, set[str]]:
        return {}


@app.command("list")
def list_(store: Store = None, namespace: Namespace = None, kubeconfig: Kubeconfig = None) -> None:
    """List what is in a store, and which agents use it.

    Examples:

      dlagent artifacts list -n vision

      dlagent artifacts list --store s3://models/artifacts/vision
    """
    keeper = _keeper(store, namespace, kubeconfig)
    users = keeper.users()
    table = Table("artifact", "engine", "precision", "size", "last built or found", "used by")
    for item in keeper.inventory().artifacts:
        used_by = ", ".join(sorted(users.get(item.key[:SHORT_KEY], ()))) or _nobody(store)
        table.add_row(
            item.key[:_SHOWN],
            item.engine or f"[red]{item.trouble}[/red]",
            item.precision or "",
            decimal(item.size_bytes or 0),
            _ago(time.time() - (item.used_at or 0)),
            used_by,
        )
    out.print(table if table.row_count else "The store is empty.")


@app.command()
def show(
    artifact: Annotated[str, typer.Argument(help="Its key, or the beginning of it.")],
    store: Store = None,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show what an artifact was made from, what it holds, and how fast it is."""
    keeper = _keeper(store, namespace, kubeconfig)
    key = _resolve(keeper, artifact)
    try:
        manifest = Manifest.model_validate_json(keeper.read(key, MANIFEST))
    except ValidationError as error:
        raise CliError(f"the manifest of {key} is of another version of dlagent") from error
    table = Table("", Column(overflow="fold"), show_header=False, box=None)
    table.add_row("key", key)
    table.add_row("engine", f"{manifest.engine}, {manifest.precision}")
    for name, value in manifest.key_inputs.items():
        table.add_row(name, value if isinstance(value, str) else json.dumps(value))
    for path, file in sorted(manifest.files.items()):
        table.add_row(path, f"{decimal(file.size_bytes)}, SHA-256 {file.sha256}")
    for point in manifest.tau:
        workers = f"{point.instances} at a time, {point.threads} threads each"
        busy = f" ({workers})" if (point.instances, point.threads) != (1, 1) else ""
        table.add_row(f"batch of {point.batch}{busy}", f"{point.milliseconds:.3g} ms")
    for name, version in sorted(manifest.versions.items()):
        table.add_row(name, version)
    out.print(table, highlight=False)


@app.command()
def verify(
    artifacts: Annotated[
        list[str] | None, typer.Argument(help="Keys, or the beginnings of them; default: all.")
    ] = None,
    store: Store = None,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Read every byte of artifacts. Ends with 1 where one is damaged."""
    keeper = _keeper(store, namespace, kubeconfig)
    keys = [_resolve(keeper, artifact) for artifact in artifacts or []]
    found = keeper.verify(keys).artifacts
    if not found:
        out.print("nothing to verify")
    for item in found:
        said = f"[red]{item.trouble}[/red]" if item.trouble else "[green]whole[/green]"
        out.print(f"{item.key[:_SHOWN]}  {said}", highlight=False)
    if any(item.trouble for item in found):
        raise typer.Exit(1)


@app.command()
def prune(
    store: Store = None,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    older_than: Annotated[
        float, typer.Option(min=0, help="Hours for which no build must have used it.")
    ] = _WEEK_HOURS,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="A key to keep, or its beginning; with --store, what agents use. May be repeated."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove artifacts that no agent names, and what builds that died have left.

    The operator does the same by itself (artifacts.sweep in its settings). In a cluster what an
    agent or a Deployment names is never removed. Of a --store it is not known what is in use: keep
    it by --keep.
    """
    keeper = _keeper(store, namespace, kubeconfig)
    kept = [*_kept(keeper, keep or []), *keeper.users()]
    would = keeper.sweep(kept, older_than, dry_run=True)
    _print_report(would)
    if dry_run or not (would.removed_count or would.staging_count):
        return
    if not yes:
        typer.confirm("Remove them?", abort=True)
    if isinstance(keeper, ClusterStore):
        kept += _freed_in_cluster(keeper, would)
    _print_report(keeper.sweep(sorted(set(kept)), older_than, dry_run=False))


def _freed_in_cluster(keeper: ClusterStore, would: SweepReport) -> list[str]:
    """Forget what is to go, so that whoever wants it builds; then what must stay after all."""
    running = keeper.builds_running()
    if running:
        raise CliError(f"{', '.join(running)} may yet find any artifact: wait until it has ended")
    keeper.forget(set(would.removed) - set(keeper.users()))
    return [*keeper.users(), *keeper.recorded()]


def _keeper(store: str | None, namespace: str | None, kubeconfig: Path | None) -> Keeper:
    if store is None:
        return open_cluster_store(namespace, kubeconfig)
    if namespace is not None or kubeconfig is not None:
        raise CliError("--store is in place of a cluster: give no --namespace or --kubeconfig")
    return LocalStore(store)


def _check_folder(folder: Path) -> None:
    """Raise CliError for what is no store. One that nothing was published to yet is empty."""
    if not folder.is_dir():
        raise CliError(f"{folder}: no such folder")
    inside = {entry.name for entry in folder.iterdir()}
    if ARTIFACTS not in inside and inside - _BEFORE_THE_FIRST:
        raise CliError(f"{folder} is no store: it has no folder {ARTIFACTS}/")


def _kept(keeper: Keeper, beginnings: list[str]) -> list[str]:
    """The beginnings, each of which keeps an artifact: a misspelt one would keep none."""
    if not all(beginnings):
        raise CliError("--keep needs a key, or the beginning of one")
    stored = [item.key for item in keeper.inventory().artifacts] if beginnings else []
    for beginning in beginnings:
        if not any(key.startswith(beginning) for key in stored):
            raise CliError(f"--keep: no artifact begins with {beginning}; nothing was removed")
    return beginnings


def _resolve(keeper: Keeper, beginning: str) -> str:
    """The key that begins so."""
    found = [item.key for item in keeper.inventory().artifacts if item.key.startswith(beginning)]
    if len(found) != 1:
        many = f"{len(found)} artifacts begin" if found else "no artifact begins"
        raise CliError(f"{many} with {beginning}; see dlagent artifacts list")
    return found[0]


def _print_report(report: SweepReport) -> None:
    would = "would remove" if report.dry_run else "removed"
    out.print(
        f"{would} {report.removed_count} artifacts ({decimal(report.freed_bytes)}) and"
        f" {report.staging_count} leftovers of dead builds; {report.kept_count} artifacts stay",
        highlight=False,
    )
    for key in report.removed:
        out.print(f"  {key}", highlight=False)


def _nobody(store: str | None) -> str:
    return "[dim]nobody[/dim]" if store is None else "[dim]not known[/dim]"


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"


def _told(action: Callable[[], T]) -> T:
    try:
        return action()
    except (ArtifactCorruptError, ArtifactMissingError, OSError) as error:
        raise CliError(str(error)) from error
