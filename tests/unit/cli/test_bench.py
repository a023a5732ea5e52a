"""`dlagent bench` against a Triton that speaks the protocol."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from dlagent.api.types import Latency
from dlagent.bench.document import Document
from dlagent.cli import bench as bench_command
from dlagent.cli.agent_client import Endpoint
from dlagent.cli.bench import app
from dlagent.cli.endpoints import find_endpoint
from dlagent.cli.errors import CliError

QUICK = ("--rate", 100, "--duration", "300ms", "--arrivals", "even")


def bench(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], env={"COLUMNS": "150"})


def refused(*args: object) -> str:
    """The message of the error that the command ends with."""
    result = bench(*args)
    assert isinstance(result.exception, CliError), result.output
    return str(result.exception)


def test_every_request_is_answered_and_told(triton: Any) -> None:
    result = bench("shoes", *QUICK, "--url", triton.url, "--slo", "10s")
    assert 0 == result.exit_code, result.output
    assert 31 == len(triton.received), "one is asked before the load begins"
    for said in ("answered", "30", "latency p99", "within 10 s", "100 %"):
        assert said in result.output
    assert "promised" not in result.output
    assert "simulated" not in result.output


def test_json_and_picture(triton: Any, tmp_path: Path) -> None:
    json_file, plot = tmp_path / "run.json", tmp_path / "run.png"
    args = ("--url", triton.url, "--slo", "10s", "--json", json_file, "--plot", plot)
    result = bench("shoes", *QUICK, *args)
    assert 0 == result.exit_code, result.output
    assert plot.read_bytes().startswith(b"\x89PNG")
    written = Document.model_validate_json(json_file.read_text())
    assert (30, 30, 0) == (
        written.requests.due,
        written.requests.answered,
        written.requests.failed,
    )
    assert "constant" == written.schedule.shape
    assert 100 == written.within_slo_percent
    assert 30 == sum(second.offered for second in written.timeline)
    assert written.simulated_accelerator is None


def test_the_page_explains_every_field_of_the_document() -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/measure-latency.md").read_text()
    names = set[str]()

    def collect(schema: dict[str, Any]) -> None:
        names.update(schema.get("properties", {}))
        for part in schema.get("$defs", {}).values():
            collect(part)

    collect(Document.model_json_schema())
    assert [] == sorted(name for name in names if f"`{name}`" not in page)


def test_a_simulated_accelerator_is_named_with_its_figures(triton: Any, tmp_path: Path) -> None:
    triton.parameters = {
        "simulated_base_milliseconds": {"string_value": "40"},
        "simulated_per_item_milliseconds": {"string_value": "20"},
    }
    json_file = tmp_path / "run.json"
    result = bench("shoes", *QUICK, "--url", triton.url, "--json", json_file)
    assert "Accelerator: simulated, 40 ms + 20 ms a request; these are not" in result.output
    assert "40 ms" in json.loads(json_file.read_text())["simulated_accelerator"]


def test_a_failed_request_is_exit_code_1(triton: Any) -> None:
    triton.answers = 5
    result = bench("shoes", *QUICK, "--url", triton.url)
    assert 1 == result.exit_code
    assert "failed: HTTP 503" in result.output


def test_what_is_not_sent_is_a_failure_and_says_what_allows_more(triton: Any) -> None:
    result = bench(
        "shoes", "--rate", 2000, "--duration", "300ms", "--connections", 1, "--url", triton.url
    )
    assert 1 == result.exit_code
    assert "--connections allows more" in result.output


def test_the_agents_own_promise_is_the_default(
    triton: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = find_endpoint("shoes", None, triton.url, None)
    promise = Latency(threshold_milliseconds=5000, objective_percent="99.5")
    monkeypatch.setattr(bench_command, "find_endpoint", lambda *_: endpoint)
    monkeypatch.setattr(bench_command, "find_promise", lambda *_: promise)
    result = bench("shoes", *QUICK)
    assert "within 5 s (promised: 99.5 %)" in result.output
    result = bench("shoes", *QUICK, "--slo", "7s")
    assert "within 7 s (promised: 99.5 %)" in result.output


def test_a_file_is_sent_as_infer_would_send_it(triton: Any, tmp_path: Path) -> None:
    image = np.array([[1, 9], [5, 3]], np.uint8)
    np.save(tmp_path / "x.npy", image)
    assert 0 == bench("shoes", *QUICK, "--url", triton.url, "--input", tmp_path / "x.npy").exit_code
    assert all((received == image).all() for received in triton.received)


def test_a_trace_is_squeezed_into_the_duration_and_scaled(triton: Any, tmp_path: Path) -> None:
    trace, json_file = tmp_path / "day.csv", tmp_path / "run.json"
    trace.write_text("minute,requests\n0,10\n1,100\n2,55\n3,55\n")
    result = bench(
        "shoes", "--rate", "40..100", "--shape", "trace", trace, "--duration", "400ms",
        "--part", "0..3m", "--url", triton.url, "--json", json_file,
    )  # fmt: skip
    assert 0 == result.exit_code, result.output
    written = Document.model_validate_json(json_file.read_text())
    assert ("trace", "day.csv") == (written.schedule.shape, written.schedule.trace)
    assert (40, 100) == (written.schedule.low_per_second, written.schedule.high_per_second)
    assert pytest.approx(0.4) == written.schedule.duration_seconds


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param([], "Give --rate 40", id="no rate"),
        pytest.param(["--rate", 40, "--shape", "ramp"], "a range: --rate 5..60", id="ramp of one"),
        pytest.param(
            ["--rate", "4..6", "--shape", "constant"], "one rate", id="a range for a constant"
        ),
        pytest.param(["--rate", 4, "x.csv"], "go with --shape trace", id="a file alone"),
        pytest.param(["--rate", 4, "--multiply", 2], "go with --shape trace", id="multiply alone"),
        pytest.param(["--shape", "trace"], "which trace", id="a trace without its file"),
        pytest.param(["--shape", "trace", "no.csv"], "no.csv cannot be read", id="no such trace"),
        pytest.param(["--rate", 4, "--plot", "x.pdf"], "as .png", id="another kind of picture"),
        pytest.param(["--rate", 4, "--json", "no/x.json"], "no folder", id="no such folder"),
        pytest.param(["--rate", 4, "--json", "/"], "--json / cannot be written", id="a folder"),
        pytest.param(
            ["--rate", 4, "--connections", 10**9], "open files; give", id="too many connections"
        ),
        pytest.param(["--rate", 4, "--url", "http://[::1"], "starts with http", id="half a URL"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_the_load(args: list[Any], says: str) -> None:
    assert says in refused("shoes", "--url", "http://127.0.0.1:9", *args)


@pytest.mark.parametrize(
    ("content", "args", "says"),
    [
        pytest.param("0,1\n", [], "trace.csv: line 1", id="what the reader says, with the file"),
        pytest.param("t\n0\n2\n", ["--part", "1s..2s"], "no requests", id="a part that is empty"),
        pytest.param("t\n0\n", ["--part", "5s..6s"], "none of them", id="a part behind its end"),
        pytest.param("t\n0\n", ["--rate", "1..2"], "never changes", id="no range in it"),
        pytest.param("t\n0\n", ["--multiply", 0], "no requests", id="multiplied by zero"),
        pytest.param(
            "t\n0\n", ["--rate", "1..2", "--multiply", 2], "give one", id="two ways to scale it"
        ),
    ],
)
def test_traces_that_do_not_fit_are_refused(
    tmp_path: Path, content: str, args: list[Any], says: str
) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text(content)
    assert says in refused("shoes", "--shape", "trace", trace, *args, "--url", "http://x")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        pytest.param("--duration", "90", "give it as 500ms", id="a time without a unit"),
        pytest.param("--duration", "0s", "give it as 500ms", id="no time at all"),
        pytest.param("--rate", "fast", "give requests per second", id="no rate"),
        pytest.param("--rate", "60..5", "give requests per second", id="the wrong way round"),
        pytest.param("--rate", "5..", "give requests per second", id="half a range"),
        pytest.param("--rate", "1e9", "at most 50,000 a second", id="more than anybody sends"),
        pytest.param("--duration", "9" * 400 + "d", "give it as 500ms", id="for ever"),
        pytest.param("--seed", "-1", "greater than or equal to 0", id="a seed that numpy refuses"),
        pytest.param("--part", "8d", "where it begins and ends", id="half a part"),
        pytest.param("--shape", "wave", "is not one of", id="an unknown shape"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(option: str, value: str, says: str) -> None:
    result = bench("shoes", option, value)
    assert 2 == result.exit_code
    assert says in " ".join(result.output.replace("│", "").split())


def test_an_agent_that_is_not_there_is_said_before_the_load(triton: Any) -> None:
    assert "boots is not served" in refused("boots", *QUICK, "--url", triton.url)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b"{}", id="no tensors"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b'{"inputs": 1, "outputs": []}', id="a number for the tensors"),
        pytest.param(b'{"inputs": [{"name": "x"}], "outputs": []}', id="a tensor without a shape"),
        pytest.param(b'{"max_batch_size": "many"}', id="a word for a number"),
    ],
)
def test_a_server_that_is_no_triton_is_said(
    triton: Any, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(
        Endpoint, "request", lambda *_, **__: SimpleNamespace(status=200, data=answer)
    )
    assert "is no Triton" in refused("shoes", *QUICK, "--url", triton.url)


def test_an_output_that_was_tried_out_is_not_left_behind(tmp_path: Path) -> None:
    bench("shoes", *QUICK, "--url", "http://127.0.0.1:9", "--json", tmp_path / "run.json")
    assert [] == list(tmp_path.iterdir())


def test_a_missing_input_file(triton: Any) -> None:
    assert "no such file" in refused("shoes", *QUICK, "--url", triton.url, "--input", "no.npy")
