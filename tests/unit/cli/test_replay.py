"""`dlagent replay` on small traces: what it prints and writes, and what it refuses."""

import json
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dlagent.cli import replay as command
from dlagent.cli.errors import CliError
from dlagent.cli.replay import app
from dlagent.replay.compare import Setup
from dlagent.replay.rows import Row

QUICK = ("--offset", "10m", "--duration", "10m", "--jobs", 1)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Forty minutes of 20 requests/s and then of 60."""
    file = tmp_path / "day.csv"
    lines = [f"{minute},{1200 if minute < 15 else 3600}" for minute in range(40)]
    file.write_text("\n".join(["minute,requests", *lines]) + "\n")
    return file


def replay(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], env={"COLUMNS": "200"})


def refused(*args: object) -> CliError:
    result = replay(*args)
    assert isinstance(result.exception, CliError), result.output
    return result.exception


def rows_of(file: Path) -> list[dict[str, object]]:
    """Without how long they took."""
    rows: list[dict[str, object]] = json.loads(file.read_text())
    return [{name: value for name, value in row.items() if name != "wall_s"} for row in rows]


def test_rows_table_and_picture(trace: Path, tmp_path: Path) -> None:
    json_file, plot = tmp_path / "runs.json", tmp_path / "runs.png"
    policies = "ours,fixed:n=4,hpa-rps:target=0.7,oracle"
    result = replay(
        trace, *QUICK, "--policy", policies, "--seeds", 2, "--json", json_file, "--plot", plot
    )
    assert 0 == result.exit_code, result.output
    for said in ("99 % within 500 ms, 2 seeds", "fixed:n=4", "oracle: seed 1", "ours attains"):
        assert said in result.stdout
    assert "*" not in result.stdout, "nothing is swept"
    assert plot.read_bytes().startswith(b"\x89PNG")
    rows = json.loads(json_file.read_text())
    assert list(Row.__dataclass_fields__) == list(rows[0])
    names = ["ours", "fixed:n=4", "hpa-rps:target=0.7,stabilization=300", "oracle"]
    assert [(name, seed) for seed in (1, 2) for name in names] == [
        (row["policy"], row["seed"]) for row in rows
    ]
    oracle = rows[3]
    assert 1 == oracle["cost_ratio"]
    assert {oracle["requests"]} == {row["requests"] for row in rows[:4]}
    for row in rows[:3]:
        assert row["attained"] < 0.99 or row["cost_ratio"] >= 1


def test_rows_are_written_before_a_reader_that_stops_ends_it(
    trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(command, "print_report", stops)
    json_file = tmp_path / "runs.json"
    replay(trace, *QUICK, "--policy", "fixed:n=2", "--json", json_file)
    assert 1 == len(rows_of(json_file))


@pytest.mark.parametrize("error", [MemoryError(), BrokenProcessPool()])
def test_too_little_memory_is_said_with_what_takes_less(
    trace: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def exhausted(*_: object) -> None:
        raise error

    monkeypatch.setattr(command, "compare", exhausted)
    assert "give a shorter --duration" in str(refused(trace, *QUICK))


def test_an_objective_is_the_number_that_was_given(
    trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """99.9 / 100 is above 0.999: 999 of 1,000 would not be enough."""
    found: list[float] = []

    def keep(setup: Setup, _: object) -> None:
        found.append(setup.manifest.objective)

    monkeypatch.setattr(command, "in_order", keep)
    replay(trace, *QUICK, "--policy", "fixed:n=1", "--objective", 99.9)
    assert [0.999] == found


def test_every_policy_runs_and_a_sweep_shows_its_frontier(trace: Path) -> None:
    policies = (
        "ours,hpa-rps:target=0.7,hpa-busy:target=70,hpa-latency:target=0.8,keda-rps:target=0.7,"
        "kpa:delay=0,ray:target=2,fixed,oracle"
    )
    args = ("--policy", policies, "--max", 6, "--fault", "metrics-gap@2m+60s")
    result = replay(trace, *QUICK, *args, "--routing", "p2c")
    assert 0 == result.exit_code, result.output
    assert "* on the frontier of its kind" in result.stdout
    assert "fixed:n=6" in result.stdout
    assert "99 % within 500 ms\n" in result.stdout.replace(" \n", "\n").replace("  ", "")


def test_processes_change_nothing(trace: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{jobs}.json" for jobs in (1, 3)]
    for jobs, file in zip((1, 3), files, strict=True):
        args = ("--policy", "ours,fixed:n=3,oracle", "--routing", "connections:8", "--seeds", 2)
        result = replay(trace, *QUICK[:-1], jobs, *args, "--json", file)
        assert 0 == result.exit_code, result.output
    assert rows_of(files[0]) == rows_of(files[1])


def test_without_an_oracle_there_is_no_cost_ratio(trace: Path, tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    assert 0 == replay(trace, *QUICK, "--policy", "fixed:n=1", "--json", file).exit_code
    (row,) = rows_of(file)
    assert row["cost_ratio"] is None
    assert row["p99_ms"] is None or isinstance(row["p99_ms"], float)


def test_a_request_that_is_never_answered_is_null_in_json(trace: Path, tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    args = ("--policy", "fixed:n=1", "--multiply", 10, "--json", file)
    assert 0 == replay(trace, *QUICK, *args).exit_code
    (row,) = rows_of(file)
    assert row["p99_ms"] is None
    assert 0 == row["attained"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(("--slo", "fast"), "--slo: 'fast' is no duration", id="slo"),
        pytest.param(("--slo", "0"), "--slo must be more than 0", id="no slo"),
        pytest.param(
            ("--slo", "50ms"),
            "--slo 50ms is kept by no number of replicas: a request that is alone takes 60 ms by"
            " --tau",
            id="a slo that nothing keeps",
        ),
        pytest.param(("--objective", 100), "--objective must be a percentage", id="all"),
        pytest.param(("--objective", "nan"), "--objective must be a percentage", id="NaN"),
        pytest.param(("--tau", "40ms"), "--tau must be what a batch takes", id="half of tau"),
        pytest.param(("--tau", "0,0"), "--tau must be .*not both 0", id="no tau"),
        pytest.param(("--max-batch", 0), "--max-batch must be 1 to", id="no batch"),
        pytest.param(("--min", 0), "--min must be 1 to", id="to zero"),
        pytest.param(("--min", 3, "--max", 2), "--max must be --min to", id="turned bounds"),
        pytest.param(("--policy", "hpa"), r"--policy, item 1 \('hpa'\)", id="policy"),
        pytest.param(("--seeds", 0), "--seeds must be 1 to", id="no seed"),
        pytest.param(("--multiply", "inf"), "--multiply must be more than 0", id="multiply"),
        pytest.param(("--routing", "dns"), "--routing: 'dns' is no routing", id="routing"),
        pytest.param(("--fault", "fire"), "--fault: 'fire' is no fault", id="fault"),
        pytest.param(
            ("--fault", "metrics-nan@6h+60s"), "--fault must be within the replay", id="late fault"
        ),
    ],
)
def test_wrong_options(trace: Path, args: tuple[object, ...], says: str) -> None:
    error = refused(trace, *args)
    assert 2 == error.exit_code
    with pytest.raises(CliError, match=says):
        raise error


@pytest.mark.parametrize(
    ("text", "args", "says"),
    [
        pytest.param("", (), "bad.csv: it is empty", id="empty"),
        pytest.param("minute,requests\n0,1\n2,1", (), "bad.csv: line 3: minute 2 .* 1", id="gap"),
        pytest.param("minute,requests\n1,1\n0,1", (), "bad.csv: line 3: .* sort", id="disorder"),
        pytest.param("minute,requests\n0,-1", (), "bad.csv: line 2: -1 requests", id="negative"),
        pytest.param("minute,requests\n0,9", ("--offset", "1h"), "give less", id="too short"),
        pytest.param("minute,requests\n0,1e-9", (), "seed 1 draws no request", id="no request"),
    ],
)
def test_bad_traces(tmp_path: Path, text: str, args: tuple[object, ...], says: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text)
    error = refused(file, *args, "--policy", "fixed:n=1", "--jobs", 1)
    assert 1 == error.exit_code
    with pytest.raises(CliError, match=says):
        raise error


def test_a_trace_of_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "big.csv"
    with file.open("wb") as sparse:
        sparse.truncate(1_000_000_000)
    assert "big.csv has 1,000 MB" in str(refused(file))
    assert "count its requests by minute" in str(refused(file))


def test_a_missing_trace(tmp_path: Path) -> None:
    assert "cannot be read" in str(refused(tmp_path / "none.csv"))
