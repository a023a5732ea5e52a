"""The command line as a whole: quick help, lazy commands, errors without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


def dlagent(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = [str(REPOSITORY / "operator"), str(REPOSITORY / "local")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "120", **environment}
    command = [sys.executable, "-m", "dlagent.cli.main", *args]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "sys.argv = ['dlagent', '--help']\n"
        "from dlagent.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    heavy = {'torch', 'onnx', 'numpy', 'kubernetes', 'kopf', 'tritonclient', 'pydantic',\n"
        "             'aiohttp', 'matplotlib', 'numba'}\n"
        "    print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY / "operator")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=60
    )
    assert "HEAVY []" in done.stdout
    for command in ("infer", "bench", "build", "report", "replay", "operator", "local", "version"):
        assert command in done.stdout


def test_version_is_one_line() -> None:
    done = dlagent("version")
    assert done.returncode == 0
    assert done.stdout.startswith("dlagent ")


@pytest.mark.parametrize(
    ("args", "exit_code", "says"),
    [
        pytest.param(["infer", "a", "/no/such.png"], 1, "no such file", id="file missing"),
        pytest.param(["infer", "a"], 2, "Missing argument", id="argument missing"),
        pytest.param(["nonsense"], 2, "No such command", id="unknown command"),
        pytest.param(["infer", "--help"], 0, "Examples", id="help of a command"),
        pytest.param(
            ["local", "--show-completion"], 2, "No such option", id="completion of a command alone"
        ),
    ],
)
def test_exit_codes(args: list[str], exit_code: int, says: str) -> None:
    done = dlagent(*args)
    assert exit_code == done.returncode
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_no_cluster_says_how_to_get_one(tmp_path: Path) -> None:
    image = tmp_path / "x.npy"
    image.touch()
    nowhere = str(tmp_path / "none")
    done = dlagent("infer", "a", str(image), KUBECONFIG=nowhere, HOME=str(tmp_path))
    assert done.returncode == 1
    assert "dlagent local up" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_operator_names_a_kubeconfig_that_is_none(tmp_path: Path) -> None:
    settings, kubeconfig = tmp_path / "settings.yaml", tmp_path / "config"
    settings.write_text(
        "{builder: {image: b}, runtimes: {triton: {image: t, target: {tritonVersion: '1'}}}}"
    )
    kubeconfig.write_bytes(b"\x89PNG")
    done = dlagent("operator", "--settings", str(settings), "--kubeconfig", str(kubeconfig))
    assert 1 == done.returncode
    assert f"error: no cluster: {kubeconfig} is no kubeconfig" in done.stderr


def test_a_missing_part_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from dlagent.cli import main
    from dlagent.cli.errors import CliError

    monkeypatch.setitem(sys.modules, "dlagent_local.cli", None)
    result = CliRunner().invoke(main.app, ["local", "up"])
    assert isinstance(result.exception, CliError)
    assert "pip install '.[local]'" in str(result.exception)
