"""`dlagent explain`: why an agent has as many replicas as it has, now or at a time in the past."""

import json
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any

import typer
import urllib3
from rich.console import Console
from rich.text import Text

from dlagent.cli.agent_client import Endpoint
from dlagent.cli.endpoints import find_agent, find_cluster
from dlagent.cli.errors import CliError
from dlagent.cli.operator_way import (
    Installed,
    find_operator,
    operator_endpoints,
    prometheus_endpoint,
)
from dlagent.cli.recorded import Recorder
from dlagent.domain.scaling.explanation import Section, sections
from dlagent.domain.scaling.situation import Situation, Spent, from_json
from dlagent.domain.traffic.durations import DurationError, parse_duration
from dlagent.report.words import plain

_INDENT, _WIDEST = "  ", 100

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


@app.command()
def explain(
    agent: Annotated[str, typer.Argument(help="Name of the agent.")],
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Its namespace; default: the kubeconfig's."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="As it was then: 2026-03-01T12:30:00Z, or how long ago: 10m, 2h, 1d.",
        ),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How.")] = Output.TEXT,
    operator: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The operator's address; default: through the cluster."),
    ] = None,
    prometheus: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Its Prometheus' address; default: through the cluster."),
    ] = None,
    prometheus_token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The bearer token that --prometheus asks for."),
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Default: $KUBECONFIG, then ~/.kube/config.")
    ] = None,
) -> None:
    """Say why an agent has as many replicas as it has.

    What was seen, what one replica can do, what was forecast, what was decided, what would change
    it, and what it cost. The present is what the operator knows; with --at it is what Prometheus
    has recorded, which is less.

    Examples:

      dlagent explain fashion-mnist

      dlagent explain fashion-mnist -n vision --at "10m ago"

      dlagent explain fashion-mnist --at 2026-03-01T12:30:00Z -o json
    """
    now = datetime.now(UTC)
    moment = None if at is None else parse_time(at, now)
    api, default_namespace = find_cluster(kubeconfig)
    given = _given_prometheus(prometheus, prometheus_token_file)
    way = _Way(api, namespace or default_namespace, agent, operator, given)
    situation = way.present() if moment is None else way.past(moment.timestamp())
    spent, unknown = way.spent(situation.at)
    found = sections(situation, spent)
    if output is Output.JSON:
        _print_json(way, situation, spent, found)
        return
    _show(Console(), f"{agent} in {way.namespace}, {_time(situation.at)}", found, unknown)


def parse_time(text: str, now: datetime) -> datetime:
    """A moment before `now`: RFC 3339, or how long ago (`10m`, `2h ago`).

    Raises:
        CliError: it is neither, or it is to come.
    """
    with suppress(DurationError, OverflowError):
        ago = text.strip().removesuffix("ago").replace(" ", "")
        return now - timedelta(seconds=parse_duration(ago))
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise CliError(
            f"--at {text}: give a time such as 2026-03-01T12:30:00Z, or how long ago, such as 10m"
        ) from error
    if moment.tzinfo is None:
        time = moment.isoformat()
        raise CliError(f"--at {text}: say which clock that is: {time}Z, or {time}+02:00")
    if moment > now:
        raise CliError(f"--at {text}: that is yet to come")
    return moment


def _given_prometheus(url: str | None, token_file: Path | None) -> Endpoint | None:
    """The address that was given, and the token that it is asked with.

    Raises:
        CliError: a token that cannot be read, or no address that it is for.
    """
    if url is None:
        if token_file is None:
            return None
        # The apiserver does not pass a token on, and one may not go to whatever it leads to.
        raise CliError("--prometheus-token-file: give the address that it is for by --prometheus")
    headers = {}
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise CliError(f"--prometheus-token-file {token_file}: {error}") from error
        headers = {"Authorization": f"Bearer {token}"}
    return Endpoint(url.rstrip("/"), urllib3.PoolManager(), headers)


class _Way:
    """To all that is known of one agent: the operator and its Prometheus, each looked for once."""

    def __init__(
        self,
        api: Any,
        namespace: str,
        agent: str,
        operator: str | None,
        prometheus: Endpoint | None,
    ) -> None:
        self.namespace, self.agent = namespace, agent
        self._api, self._operator, self._prometheus = api, operator, prometheus

    def present(self) -> Situation:
        """As the operator has it that leads; raises CliError with what the agent says else."""
        found = find_agent(self._api, self.namespace, self.agent)
        for endpoint in self._operators():
            answer = endpoint.request("GET", f"/explain/{self.namespace}/{self.agent}")
            if answer.status == 200:
                return _situation(answer.data)
            if answer.status != 404:
                raise CliError(f"the operator answered HTTP {answer.status}")
        conditions = {c["type"]: c for c in (found.get("status") or {}).get("conditions", [])}
        ready = conditions.get("Ready")
        why = f"{ready['reason']}: {ready.get('message', '')}" if ready else "it is new to it"
        raise CliError(f"the operator has decided nothing about agent {self.agent} yet: {why}")

    def past(self, at: float) -> Situation:
        """As Prometheus has recorded it."""
        found = self._recorder().situation(at)
        if found is None:
            raise CliError(
                f"Prometheus has no record of agent {self.agent} in namespace {self.namespace} at"
                f" {_time(at)}: was the operator running, and does Prometheus keep it for so long?"
            )
        return found

    def spent(self, at: float) -> tuple[Spent | None, str | None]:
        """And why it is not known; what the present is does not depend on it."""
        try:
            return self._recorder().spent(at), None
        except CliError as error:
            return None, str(error)

    def _operators(self) -> list[Endpoint]:
        if self._operator is not None:
            return [Endpoint(self._operator.rstrip("/"), urllib3.PoolManager())]
        return operator_endpoints(self._api, self._installed)

    @cached_property
    def _installed(self) -> Installed:
        return find_operator(self._api, self.namespace)

    def _recorder(self) -> Recorder:
        endpoint = self._prometheus or prometheus_endpoint(self._api, self._installed.settings)
        return Recorder(endpoint, self.namespace, self.agent)


def _situation(content: bytes) -> Situation:
    try:
        return from_json(content)
    except ValueError as error:
        raise CliError(
            "the operator explains in another way than this dlagent reads: use its version"
        ) from error


def _print_json(
    way: _Way, situation: Situation, spent: Spent | None, found: tuple[Section, ...]
) -> None:
    """All figures, and the words by their titles."""
    figures = {
        "agent": way.agent,
        "namespace": way.namespace,
        "situation": asdict(situation),
        "spent": asdict(spent) if spent is not None else None,
        "explanation": {section.title: section.lines for section in found},
    }
    typer.echo(json.dumps(figures, indent=2))


def _show(console: Console, title: str, found: tuple[Section, ...], unknown: str | None) -> None:
    width = min(console.width, _WIDEST)
    console.print(Text(title, style="bold"))
    for section in found:
        console.print(Text(f"\n{section.title}", style="bold cyan"))
        for line in section.lines:
            indented = fill(plain(line), width, initial_indent=_INDENT, subsequent_indent=_INDENT)
            console.print(Text(indented))
    if unknown is not None:
        told = plain(f"Cost and error budget are not known: {unknown}")
        console.print(Text(f"\n{told}", style="dim"))


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
