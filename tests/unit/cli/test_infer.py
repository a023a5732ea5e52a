"""`dlagent infer` against a Triton that speaks the protocol."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from dlagent.cli.errors import CliError
from dlagent.cli.infer import app

IMAGE = np.array([[1, 9], [5, 3]], np.uint8)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", IMAGE)
    return tmp_path / "x.npy"


def infer(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_json_gives_the_outputs(triton: Any, image: Path) -> None:
    result = infer("shoes", image, "--url", triton.url, "--json")
    assert json.loads(result.stdout) == {"outputs": {"total": [[18.0]], "places": [[1, 2]]}}
    np.testing.assert_array_equal(triton.received[0], IMAGE[None])


@pytest.mark.parametrize("options", [["--json"], []], ids=["as JSON", "as a table"])
def test_text_is_shown_as_text(triton: Any, image: Path, options: list[str]) -> None:
    triton.names = ["boot", "Stiefel, größer", "bag", "shirt"]
    result = infer("shoes", image, "--url", triton.url, *options)
    assert result.exit_code == 0, result.exception
    if options:
        assert [["Stiefel, größer"]] == json.loads(result.stdout)["outputs"]["name"]
    else:
        assert "Stiefel, größer" in result.stdout


def test_table_shows_each_value(triton: Any, image: Path) -> None:
    result = infer("shoes", image, "--url", triton.url)
    assert result.exit_code == 0
    assert "total" in result.stdout
    assert "18.0000" in result.stdout


def test_a_batch_has_a_row_for_each_example(triton: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "batch.npy", np.stack([IMAGE, IMAGE + 1, IMAGE]))
    result = infer("shoes", tmp_path / "batch.npy", "--url", triton.url + "/")
    assert "22.0000" in result.stdout


@pytest.mark.parametrize(
    ("agent", "says"),
    [
        pytest.param("boots", "boots is not served at .* unknown model", id="unknown model"),
        pytest.param("shoes", "refused the request: HTTP 400: batch-size", id="too large a batch"),
    ],
)
def test_what_triton_says_is_passed_on(triton: Any, tmp_path: Path, agent: str, says: str) -> None:
    np.save(tmp_path / "batch.npy", np.stack([IMAGE] * 9))
    result = infer(agent, tmp_path / "batch.npy", "--url", triton.url)
    assert isinstance(result.exception, CliError)
    with pytest.raises(CliError, match=says):
        raise result.exception


def test_nobody_listens(image: Path) -> None:
    result = infer("shoes", image, "--url", "http://127.0.0.1:9")
    assert isinstance(result.exception, CliError)
    assert "does not answer" in str(result.exception)


def test_url_needs_a_scheme(image: Path) -> None:
    result = infer("shoes", image, "--url", "localhost:8000")
    assert "http://" in str(result.exception)
