"""Logs: one JSON object a line, or text for a terminal; each with the agent it is about.

main calls `configure` once. The queue sets the agent and the reconcile id of what it runs, and
main adds the revision that serves. kopf's and the client's loggers end in
the same handler. What looks like a credential is blanked, whoever logged it.
"""

import contextlib
import json
import logging
import secrets
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from dlagent.domain.status.redaction import redact
from dlagent.runtime.settings import LogFormat, LoggingSettings

_agent: ContextVar[str | None] = ContextVar("agent", default=None)
_reconcile_id: ContextVar[str | None] = ContextVar("reconcile_id", default=None)
_revision: ContextVar[str | None] = ContextVar("revision", default=None)

# Libraries that tell of each request, task or event at INFO.
_NOISY = ("asyncio", "aiohttp.access", "urllib3", "kopf.objects")


@contextlib.contextmanager
def reconcile_context(key: object) -> Iterator[None]:
    """Logs within name the agent and one random id of this run."""
    agent = "/".join(str(part) for part in key) if isinstance(key, tuple) else str(key)
    agent_token = _agent.set(agent)
    id_token = _reconcile_id.set(secrets.token_hex(4))
    revision_token = _revision.set(None)
    try:
        yield
    finally:
        _agent.reset(agent_token)
        _reconcile_id.reset(id_token)
        _revision.reset(revision_token)


def set_revision(revision: str | None) -> None:
    """Logs of the rest of this reconcile name the revision that serves; None where none does."""
    _revision.set(revision)


def configure(settings: LoggingSettings, stream: TextIO | None = None) -> None:
    """Send all logs of the process to the stream (stderr) in the format asked for."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format is LogFormat.JSON else TextFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.value)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class JsonFormatter(logging.Formatter):
    """One JSON object a line; keys are the same for all loggers."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": redact(record.getMessage()),
            **_context(record),
        }
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """For a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        context = " ".join(f"{name}={value}" for name, value in _context(record).items())
        text = f"{_time(record)} {record.levelname:<7} {redact(record.getMessage())}"
        if context:
            text += f"  [{context}]"
        if record.exc_info:
            text += "\n" + redact(self.formatException(record.exc_info))
        return text


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _context(record: logging.LogRecord) -> dict[str, str]:
    context = {
        "agent": _agent.get(),
        "revision": _revision.get(),
        "reconcile_id": _reconcile_id.get(),
        "object": _kopf_object(record),
    }
    return {name: value for name, value in context.items() if value is not None}


def _kopf_object(record: logging.LogRecord) -> str | None:
    """kopf's object loggers carry a reference to the object instead of naming it in the text."""
    reference = getattr(record, "k8s_ref", None)
    if not isinstance(reference, dict):
        return None
    return f"{reference.get('kind')} {reference.get('namespace')}/{reference.get('name')}"
