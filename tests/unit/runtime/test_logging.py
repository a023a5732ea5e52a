"""Logs: context, both formats, no credentials."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from dlagent.runtime.logging import configure, reconcile_context, set_revision
from dlagent.runtime.settings import LogFormat, LoggingSettings


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


def logged(log_format: LogFormat) -> io.StringIO:
    stream = io.StringIO()
    configure(LoggingSettings(format=log_format), stream)
    return stream


def test_json_names_agent_revision_and_one_id_a_reconcile() -> None:
    stream = logged(LogFormat.JSON)
    with reconcile_context(("vision", "shoes")):
        logging.getLogger("dlagent.x").info("one")
        set_revision("abc")
        logging.getLogger("dlagent.x").info("two")
    logging.getLogger("dlagent.x").info("three")
    one, two, three = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (one["agent"], one["message"], one["level"]) == ("vision/shoes", "one", "INFO")
    assert two["revision"] == "abc"
    assert one["reconcile_id"] == two["reconcile_id"]
    assert "agent" not in three


def test_an_exception_is_one_line_of_json() -> None:
    stream = logged(LogFormat.JSON)
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: boom" in json.loads(line)["exception"]


def test_text_shows_the_context_at_the_end() -> None:
    stream = logged(LogFormat.TEXT)
    with reconcile_context(("vision", "shoes")):
        logging.getLogger("x").warning("slow %d", 3)
    assert "WARNING slow 3  [agent=vision/shoes reconcile_id=" in stream.getvalue()


def test_the_object_of_a_log_of_kopf_is_named() -> None:
    stream = logged(LogFormat.JSON)
    reference = {"kind": "Pod", "namespace": "n", "name": "p", "uid": "u"}
    logging.getLogger("kopf.objects").error("seen", extra={"k8s_ref": reference})
    assert json.loads(stream.getvalue())["object"] == "Pod n/p"


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_credentials_are_blanked(log_format: LogFormat) -> None:
    stream = logged(log_format)
    try:
        raise ValueError("https://me:secret@host/x")
    except ValueError:
        logging.getLogger("x").exception("Bearer eyJhbGciOi.J9.sig-x")
    assert "Bearer ***" in stream.getvalue()
    assert "https://***@host/x" in stream.getvalue()
    assert "secret" not in stream.getvalue()
