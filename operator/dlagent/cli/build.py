"""`dlagent build`: the program of the build Job, on this machine and without a cluster."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from dlagent.adapters.store import FolderStore
from dlagent.api.types import Build, DLAgentSpec
from dlagent.build.pipeline import build as run_build
from dlagent.build.places import Places
from dlagent.build.progress import STAGES, Progress
from dlagent.build.sources.pvc import FILE_SCHEME, PVC_SCHEME
from dlagent.cli.agent_file import read_agent
from dlagent.cli.errors import CliError
from dlagent.cli.out_folder import check_out, copy_out
from dlagent.cli.report import read_report
from dlagent.domain.artifact.optimise import PinnedFile, optimise_on
from dlagent.domain.artifact.python_steps import (
    PERCEIVE_FIELD,
    script_references,
    script_size_problem,
)
from dlagent.domain.artifact.request import (
    BuildRequest,
    Scripts,
    Target,
    build_request,
    read_uris,
)
from dlagent.domain.artifact.summary import Outcome, Summary

# Who runs the command reaches from here what they reach anyway.
_ANY_HOST = ("*",)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _local(path: str) -> Path:
    """A file on this machine: what lies elsewhere is an agent's to name."""
    if "://" in path:
        raise CliError(
            f"{path} is no file on this machine; name it in an agent, as spec.model.source or"
            " spec.build.dataset, and give the agent by -f"
        )
    return Path(path)


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="Folder to put the model repository into.")],
    source: Annotated[
        Path | None,
        typer.Option(
            parser=_local, metavar="<path>", help="Model file: .onnx or .pt2 (torch.export.save)."
        ),
    ] = None,
    agent: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="A DLAgent in YAML: its inputs, perceive, act."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="A report.json: build again what it tells of, from the same source."),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            parser=_local,
            metavar="<path>",
            help="Examples as .npz: try faster versions that keep the accuracy on them.",
        ),
    ] = None,
    scripts: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the scripts of Python steps, each named as its key; else beside -f."
        ),
    ] = None,
    source_root: Annotated[
        Path | None,
        typer.Option(help="Stands for the cluster's volumes: pvc://CLAIM/PATH is DIR/CLAIM/PATH."),
    ] = None,
    triton_version: Annotated[str, typer.Option(help="Triton to build for.")] = "24.10",
    accelerator: Annotated[str, typer.Option(help="Hardware to build for.")] = "cpu",
    max_source_bytes: Annotated[int, typer.Option(help="Refuse larger files.")] = 2 * 1024**3,
) -> None:
    """Build a Triton model repository from a model file, without a cluster.

    It goes through the same stages as the build in a cluster: the model is checked, exported to
    ONNX, fused with its perceive and act steps, compared with the source, and measured. OUT then
    holds model/ (for `tritonserver --model-repository=OUT`), manifest.json and report.json; an
    earlier build there is replaced.

    With a data set it also tries versions in INT8, with fewer channels and so on, and keeps the
    fastest that loses no more accuracy than spec.build.gate of the agent allows, which is one point
    where nothing is said. `dlagent report OUT` tells what was tried.

    Examples:

      dlagent build --source net.onnx --out built

      dlagent build -f agent.yaml --source net.pt2 --out built

      dlagent build --source net.pt2 --dataset examples.npz --out built

      dlagent build -f agent.yaml --source-root volumes --out built

      dlagent build --report built/report.json --source net.pt2 --out again

    Python steps are read from files, named as the keys of their ConfigMaps: those that `kubectl
    create configmap NAME --from-file=KEY` takes.

    A source on the network (https://, s3:// and so on), which an agent names, is read as the build
    in a cluster reads it; credentials are taken from the environment.
    """
    pinned = _pinned(dataset) if dataset is not None else None
    if report is not None:
        request = _again(report, source, agent, pinned)
    else:
        target = Target(triton_version=triton_version, accelerator=accelerator)
        request = _request(source, agent, pinned, target, max_source_bytes, scripts)
    _check_volumes(request, source_root)
    check_out(out)
    with tempfile.TemporaryDirectory(prefix="dlagent-build-") as room:
        store = FolderStore(Path(room) / "store")
        scratch = Path(room) / "scratch"
        scratch.mkdir()
        console = Console(stderr=True)
        places = Places(source_root or Path(room), store, scratch, local_files=True)
        summary = run_build(request, places, Progress(show=_shower(console)))
        if summary.outcome == Outcome.FAILED:
            raise CliError(f"{summary.reason}: {summary.message}", summary.exit_code())
        copy_out(store, str(summary.key), out)
    console.print(_result(summary, out))


def _request(
    source: Path | None,
    agent: Path | None,
    dataset: PinnedFile | None,
    target: Target,
    max_source_bytes: int,
    scripts: Path | None,
) -> BuildRequest:
    if agent is None:
        if source is None:
            raise CliError("give a model by --source, or an agent by -f; see --help")
        return BuildRequest(
            source_uri=FILE_SCHEME + str(source.resolve()),
            target=target,
            max_source_bytes=max_source_bytes,
            optimise=optimise_on(Build(), dataset) if dataset is not None else None,
        )
    spec = read_agent(agent, dataset_apart=dataset is not None)
    request = build_request(
        spec,
        spec.model.source.sha256,
        target,
        max_source_bytes,
        allowed_hosts=_ANY_HOST,
        scripts=_scripts(spec, scripts or agent.parent),
    )
    if dataset is not None:
        request = request.model_copy(update={"optimise": optimise_on(spec.build, dataset)})
    if source is None:
        return request
    return request.model_copy(update={"source_uri": FILE_SCHEME + str(source.resolve())})


def _scripts(spec: DLAgentSpec, folder: Path) -> Scripts:
    texts = {}
    for field, reference in script_references(spec).items():
        path = folder / reference.key
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise CliError(f"{field}: {path}: {error.strerror}; see --scripts") from error
        except UnicodeDecodeError as error:
            raise CliError(f"{field}: {path} is not UTF-8") from error
        problem = script_size_problem(text)
        if problem is not None:
            raise CliError(f"{field}: {path} {problem}")
        texts[field] = text
    act = next((text for field, text in texts.items() if field != PERCEIVE_FIELD), None)
    return Scripts(perceive=texts.get(PERCEIVE_FIELD), act=act)


def _pinned(dataset: Path) -> PinnedFile:
    try:
        with dataset.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CliError(f"{dataset}: {error.strerror}") from error
    return PinnedFile(uri=FILE_SCHEME + str(dataset.resolve()), sha256=digest)


def _again(
    report: Path, source: Path | None, agent: Path | None, dataset: PinnedFile | None
) -> BuildRequest:
    """The request of a report, for the very source that it was built from."""
    if agent is not None:
        raise CliError("give either --report or -f: a report knows its inputs, perceive and act")
    found = read_report(report)
    try:
        request = BuildRequest.model_validate(found.request)
    except ValidationError as error:
        raise CliError(f"{report}: request: {error.errors()[0]['msg']}") from error
    update: dict[str, object] = {"source_sha256": found.source.sha256}
    if source is not None:
        update["source_uri"] = FILE_SCHEME + str(source.resolve())
    if dataset is not None and request.optimise is not None:
        update["optimise"] = request.optimise.model_copy(update={"dataset": dataset})
    elif dataset is not None:
        update["optimise"] = optimise_on(Build(), dataset)
    return request.model_copy(update=update)


def _check_volumes(request: BuildRequest, source_root: Path | None) -> None:
    """That --source-root has a folder for each claim that is read."""
    for uri in read_uris(request):
        if not uri.startswith(PVC_SCHEME):
            continue
        if source_root is None:
            option = "--source" if uri == request.source_uri else "--dataset"
            raise CliError(f"{option} or --source-root must say where {uri} is")
        folder = source_root / uri.removeprefix(PVC_SCHEME).partition("/")[0]
        if not folder.is_dir():
            raise CliError(
                f"--source-root: {uri} is read from the folder {folder}, which is not there"
            )


def _shower(console: Console) -> Callable[[str, str], None]:
    def show(stage: str, message: str) -> None:
        step = f"{STAGES.index(stage) + 1}/{len(STAGES)}"
        console.print(f"[dim]{step}[/dim] [bold]{stage:8}[/bold] {message}", highlight=False)

    return show


def _result(summary: Summary, out: Path) -> str:
    lines = [f"[green]built[/green] artifact {str(summary.key)[:12]} in {out}", summary.message]
    if summary.interface is not None:
        for what, tensors in (
            ("takes", summary.interface.inputs),
            ("gives", summary.interface.outputs),
        ):
            text = ", ".join(f"{t.name} {t.data_type} {t.shape}" for t in tensors)
            lines.append(f"{what} {text}".replace("[", r"\["))
    return "\n".join(lines)
