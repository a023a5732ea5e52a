"""`dlagent replay`: which autoscaler keeps a promise on a trace, and on how many replicas."""

import json
import os
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dlagent.cli.bench_report import check_outputs
from dlagent.cli.errors import CliError
from dlagent.cli.replay_options import Asked, read_setup
from dlagent.cli.replay_report import print_report
from dlagent.domain.traffic.trace import TraceError
from dlagent.replay.compare import Run, Setup, compare, in_order
from dlagent.replay.rows import document

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def replay(
    trace: Annotated[Path, typer.Argument(help="The trace of requests.", show_default=False)],
    slo: Annotated[
        str, typer.Option(metavar="TIME", help="How fast an answer must be: 500ms.")
    ] = "500ms",
    objective: Annotated[
        float, typer.Option(help="The percentage of requests that must be answered as fast.")
    ] = 99.0,
    tau: Annotated[
        str,
        typer.Option(
            metavar="TIME,TIME",
            help="What a batch takes, and what each request in it adds. A build measures it: "
            "`dlagent report AGENT`.",
        ),
    ] = "40ms,20ms",
    max_batch: Annotated[int, typer.Option(help="Requests in a batch at most.")] = 8,
    pod_start: Annotated[
        str, typer.Option(metavar="TIME", help="From asking for a pod until it is ready.")
    ] = "60s",
    scrape: Annotated[
        str, typer.Option(metavar="TIME", help="Prometheus' scrape interval.")
    ] = "15s",
    policy: Annotated[
        str,
        typer.Option(
            metavar="POLICY,...",
            help="ours, oracle, hpa-rps, hpa-busy, hpa-latency, keda-rps, kpa, ray, fixed. With "
            "parameters, as hpa-rps:target=0.7,stabilization=60, it is that one; without it is "
            "swept, and its frontier shown.",
        ),
    ] = "ours,hpa-rps,oracle",
    least: Annotated[int, typer.Option("--min", help="Replicas at least.")] = 1,
    most: Annotated[int, typer.Option("--max", help="Replicas at most.")] = 200,
    multiply: Annotated[float, typer.Option(help="The trace's rates times this.")] = 1.0,
    offset: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Where in the trace to begin. Half an hour before it warms up; three days before "
            "that are what Prometheus has.",
        ),
    ] = "0",
    duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How much of the trace. Default: to its end."),
    ] = None,
    seeds: Annotated[
        int, typer.Option(help="Draw the requests so many times: seeds 1, 2, ...")
    ] = 1,
    routing: Annotated[
        str,
        typer.Option(
            metavar="random|p2c|connections:N",
            help="How requests find a pod: any; the emptier of two; or over N connections that "
            "stay with their pod, as gRPC's do.",
        ),
    ] = "random",
    fault: Annotated[
        str,
        typer.Option(
            metavar="none|KIND@TIME+TIME",
            help="What happens to the metrics: metrics-gap@6h+600s, nothing is scraped for 600 s "
            "from 6 h on; metrics-nan, all values are NaN.",
        ),
    ] = "none",
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes. Default: one for each core.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write a row for each run to this file.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a picture to this .png.")] = None,
) -> None:
    """Replay a trace of requests against autoscalers, before you install one.

    Every request is simulated: pods with their queues and batches, their starts, and what is
    scraped of them. All policies get the same requests, and see the same metrics with the same
    delay. The code of `ours` is the operator's own.

    Examples:

      dlagent replay day.csv --slo 300ms --tau 12ms,3ms --max-batch 16

      dlagent replay week.csv --offset 6d --duration 24h --seeds 5 --json runs.json --plot runs.png

      dlagent replay day.csv --policy ours,hpa-rps:target=0.7,fixed:n=4,oracle

      dlagent replay day.csv --policy ours,keda-rps --fault metrics-gap@6h+600s

    A trace is a CSV with the columns minute,requests; or a CSV whose first column is the second
    at which each request came; or, in a .json, Prometheus' answer to a range query of one series
    of requests a second. When requests come within a minute is drawn (Poisson).

    `oracle` is the cheapest plan found in hindsight that keeps the objective; the last line says
    how far from the best it may be. `cost` is the replica-hours over the oracle's.

    Exit codes: 0 done; 1 the trace cannot be used; 2 a wrong command line; 130 Ctrl-C.
    """
    check_outputs(json_file, plot)
    asked = Asked(
        trace=trace,
        slo=slo,
        objective_percent=objective,
        tau=tau,
        max_batch=max_batch,
        pod_start=pod_start,
        scrape=scrape,
        policy=policy,
        least=least,
        most=most,
        multiply=multiply,
        offset=offset,
        duration=duration,
        seeds=seeds,
        routing=routing,
        fault=fault,
    )
    setup = read_setup(asked)
    try:
        runs = in_order(setup, _run(setup, jobs or os.cpu_count() or 1))
    except TraceError as error:
        raise CliError(f"{trace.name}: {error}") from error
    except (MemoryError, BrokenProcessPool) as error:  # the kernel ends who takes too much
        raise CliError(
            "a run had not enough memory: give a shorter --duration, a smaller --multiply, or fewer"
            " --jobs"
        ) from error
    # First what took long to compute: who reads what is printed may stop reading.
    try:
        if json_file is not None:
            rows = document([run.row for run in runs])
            json_file.write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n")
    finally:
        if plot is not None:
            _draw(plot, trace.name, setup, runs)
    print_report(Console(), setup, runs)


def _run(setup: Setup, jobs: int) -> list[Run]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    runs = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=setup.runs)
        for run in compare(setup, jobs):
            runs.append(run)
            progress.update(task, advance=1, description=f"{run.choice.name}, seed {run.row.seed}")
    return runs


def _draw(path: Path, name: str, setup: Setup, runs: list[Run]) -> None:
    from dlagent.replay.picture import draw  # matplotlib takes a second to import

    draw(path, name, setup, runs)
