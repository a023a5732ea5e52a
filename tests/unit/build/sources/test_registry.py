"""Which URIs are understood."""

from pathlib import Path

import pytest

from dlagent.api.types import Scheme
from dlagent.build.sources import registry
from dlagent.build.sources.base import Access, Wanted


def test_every_scheme_of_the_schema_has_a_module() -> None:
    assert set(Scheme) == set(registry._MODULES)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        pytest.param("pvc://models/a/net.onnx", "pvc://models/a/net.onnx.data", id="a volume"),
        pytest.param("s3://models/net.onnx", "s3://models/net.onnx.data", id="a bucket"),
        pytest.param("https://host/net.onnx", None, id="a web server has no folders"),
        pytest.param("oci://host/models:v3/net.onnx", None, id="an artifact has no folders"),
    ],
)
def test_a_file_beside_another(uri: str, expected: str | None) -> None:
    assert expected == registry.beside(uri, "net.onnx.data")


def test_nothing_is_read_before_a_file_is_opened(tmp_path: Path) -> None:
    registry.remote_file(
        Wanted("https://nowhere.invalid/net.onnx", None, 1), Access(tmp_path, tmp_path)
    )
