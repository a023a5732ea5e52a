"""What the tests on a real Triton share: one as builds have it beside them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlagent.domain.tuning.server import socket_arguments
from dlagent_local import standalone


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that a build shares with the Triton that it measures on."""
    root = tmp_path_factory.mktemp("trials")
    models = root / "models"
    models.mkdir()
    # The HTTP port tells the fixture when it is up; the sidecar has none.
    arguments = (*socket_arguments(models), "--allow-http=true", "--allow-grpc=true")
    with standalone.triton(models, root / "log", *arguments):
        yield models
