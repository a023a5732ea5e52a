"""`dlagent bench`: put a load on an agent and say how it kept its promise."""

import asyncio
import gc
import signal
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from dlagent.api.types import Latency
from dlagent.bench.journal import Journal
from dlagent.bench.live import View
from dlagent.bench.result import percentiles
from dlagent.bench.sender import Limits, Post, Sender
from dlagent.cli.agent_client import AgentClient, encode
from dlagent.cli.bench_report import Asked, Slo, check_outputs, report
from dlagent.cli.endpoints import (
    find_endpoint,
    find_promise,
    proxy_url,
    server_hostname,
    tls_context,
)
from dlagent.cli.errors import CliError
from dlagent.cli.inputs import read_inputs
from dlagent.cli.random_input import random_inputs
from dlagent.cli.traffic import (
    Load,
    Part,
    Shape,
    allow_connections,
    parse_duration,
    parse_part,
    parse_rate,
    rate_curve,
)
from dlagent.domain.artifact.triton_config import simulated_of
from dlagent.domain.traffic.schedule import Arrivals, due_times
from dlagent.domain.traffic.shapes import RateRange

_INTERRUPTED = 130

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(
    agent: Annotated[str, typer.Argument(help="Name of the agent.")],
    file: Annotated[
        Path | None, typer.Argument(help="The trace, with `--shape trace`.", show_default=False)
    ] = None,
    rate: Annotated[
        RateRange | None,
        typer.Option(
            parser=parse_rate,
            metavar="RATE",
            help="Requests a second: 40, or from the lowest to the highest, 5..60.",
        ),
    ] = None,
    shape: Annotated[
        Shape | None,
        typer.Option(
            help="How the rate changes: constant; a ramp up and down again; steps up and down; or "
            "as in a trace, whose FILE follows. Default: constant for one rate, ramp for a range."
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            parser=parse_duration,
            metavar="TIME",
            help="How long: 90s, 5m, 1h. Default: 1m; for a trace its own. A trace is squeezed "
            "into it.",
        ),
    ] = None,
    part: Annotated[
        Part | None,
        typer.Option(
            parser=parse_part, metavar="FROM..TO", help="Only this part of the trace: 8d..9d."
        ),
    ] = None,
    multiply: Annotated[
        float | None,
        typer.Option(min=0, help="The trace's own rates times this, in place of --rate."),
    ] = None,
    arrivals: Annotated[
        Arrivals,
        typer.Option(help="poisson: as from many clients. even: at equal distances."),
    ] = Arrivals.POISSON,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same arrivals.")] = 1,
    slo: Annotated[
        float | None,
        typer.Option(
            parser=parse_duration,
            metavar="TIME",
            help="How fast an answer must be: 500ms. Default: what the agent promises, where the "
            "cluster can be asked.",
        ),
    ] = None,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input", help="What is sent: a picture, .npy or .json. Default: random numbers."
        ),
    ] = None,
    resize: Annotated[
        bool,
        typer.Option(help="Fit a picture of another size or colour to what the agent takes."),
    ] = False,
    connections: Annotated[
        int,
        typer.Option(
            min=1,
            help="How many requests may be in flight. One beyond them is not sent: a failure.",
        ),
    ] = 1000,
    fresh_connections: Annotated[
        bool,
        typer.Option(
            "--fresh-connections",
            help="A new connection for each request, as from new clients. Else they are kept: a "
            "Service spreads connections over pods, so a kept one stays with its pod.",
        ),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            parser=parse_duration,
            metavar="TIME",
            help="How long an answer is waited for. Default: 1m.",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all figures to this file.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a picture to this .png.")] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Its namespace; default: the kubeconfig's."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Load this address and no cluster, e.g. http://host:8000.")
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Default: $KUBECONFIG, then ~/.kube/config.")
    ] = None,
) -> None:
    """Put a load on an agent and say how fast it answered.

    Requests are sent at scheduled times, whatever became of those before: a slow agent gets no
    less of them. Latency counts from when a request was due. Every request is counted, and none
    is tried again. Ctrl-C stops the load and reports what there is.

    Examples:

      dlagent bench fashion-mnist --rate 40

      dlagent bench fashion-mnist --rate 5..60 --shape ramp --duration 5m --plot ramp.png

      dlagent bench fashion-mnist --shape trace day.csv --rate 5..60 --duration 10m

      dlagent bench fashion-mnist --rate 200 --slo 50ms --input boot.png --url http://10.0.0.7:8000

    A trace is a CSV with the columns minute,requests; or a CSV whose first column is the second
    at which each request came; or, in a .json, Prometheus' answer to a range query of one series
    of requests a second.

    Exit codes: 0 every request was answered; 1 some were not; 2 a wrong command line; 130 Ctrl-C.
    """
    load = Load(shape, rate, duration, file, part, multiply)
    curve = rate_curve(load)
    check_outputs(json_file, plot)
    allow_connections(connections)
    limits = Limits(connections, timeout or Limits.timeout_seconds, fresh_connections)
    with find_endpoint(agent, namespace, url, kubeconfig) as endpoint:
        client = AgentClient(endpoint, agent)
        post = _post(client, input_file, resize, seed)
        simulated = simulated_of(client.config())
    promise = _slo(slo, None if url else find_promise(agent, namespace, kubeconfig))
    asked = Asked(
        agent=agent,
        url=endpoint.base,
        load=load,
        curve=curve,
        arrivals=arrivals,
        seed=seed,
        limits=limits,
        slo=promise,
        simulated=str(simulated) if simulated else None,
        began=datetime.now(UTC),
    )
    console, sender = Console(), Sender(post, limits)
    _warm_up()
    asyncio.run(_send(console, asked, sender))
    failed = report(console, asked, sender, json_file, plot)
    if sender.interrupted or failed:
        raise typer.Exit(_INTERRUPTED if sender.interrupted else 1)


def _post(client: AgentClient, input_file: Path | None, resize: bool, seed: int) -> Post:
    """The request to send. It is answered once before: what is wrong with it is said in words."""
    model = client.model()
    if input_file is None:
        inputs = random_inputs(model, np.random.default_rng(seed))
    elif input_file.is_file():
        inputs = read_inputs(input_file, model, resize)
    else:
        raise CliError(f"{input_file}: no such file")
    client.infer(model, inputs)
    body, headers = encode(model, inputs)
    endpoint = client.endpoint
    url = f"{endpoint.base}/v2/models/{client.agent}/infer"
    return Post(
        url,
        body,
        {**endpoint.headers, **headers},
        tls_context(endpoint),
        server_hostname(endpoint),
        proxy_url(endpoint),
    )


def _slo(given_seconds: float | None, promised: Latency | None) -> Slo | None:
    """What the command line says, else what the agent promises; its objective holds for both."""
    if promised is None:
        return Slo(given_seconds, None) if given_seconds else None
    seconds = given_seconds or promised.threshold_milliseconds / 1000
    return Slo(seconds, float(promised.objective_percent))


def _warm_up() -> None:
    """What would stop the load for tens of milliseconds is done before it."""
    percentiles(Journal().requests())  # numpy imports more at the first call
    gc.collect()
    gc.freeze()  # collections do not walk again what was imported


async def _send(console: Console, asked: Asked, sender: Sender) -> None:
    """The load, with its view, until it is over or interrupted."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, sender.stop)
    chunks = due_times(asked.curve, asked.arrivals, np.random.default_rng(asked.seed))
    due = chain.from_iterable(chunk.tolist() for chunk in chunks)
    sending = asyncio.create_task(sender.send(due))
    seconds = asked.slo.seconds if asked.slo else None
    await View(console, sender, asked.curve, seconds, asked.note).follow(sending)
    await sending
