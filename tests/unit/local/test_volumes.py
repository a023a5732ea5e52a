"""Destinations of `dlagent local copy`."""

from pathlib import PurePosixPath

import pytest

from dlagent_local.volumes import PvcUri


def test_a_destination_is_a_claim_and_a_path() -> None:
    assert PvcUri("models", PurePosixPath("a/b.onnx")) == PvcUri.parse("pvc://models/a/b.onnx")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("models/a", id="no scheme"),
        pytest.param("s3://models/a", id="another scheme"),
        pytest.param("pvc://models", id="no path"),
        pytest.param("pvc://models/", id="an empty path"),
        pytest.param("pvc://models/a/", id="a folder"),
        pytest.param("pvc://models/../etc/passwd", id="leads out of the volume"),
        pytest.param("pvc://models//etc/passwd", id="an absolute path"),
        pytest.param("pvc://Models/a", id="no name of a claim"),
    ],
)
def test_other_destinations_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        PvcUri.parse(text)
