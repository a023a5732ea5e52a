"""onnxruntime's tools are quiet, leave nothing behind, and make the same bytes in each process."""

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from onnx import ModelProto

from dlagent.build.optimisations.base import Optimisation, OptimisationError
from dlagent.build.optimisations.dynamic_int8 import DynamicInt8
from dlagent.build.optimisations.fp32 import Fp32
from dlagent.build.optimisations.library import library
from dlagent.build.optimisations.mixed_int8 import MixedInt8
from dlagent.build.optimisations.static_int8 import StaticInt8
from dlagent.build.optimisations.transformer import Fusion
from dlagent.domain.search.candidate import Candidate
from tests.unit.build.optimisations.quantise_workshop import (
    QuantiseWorkshop,
    attention,
    convolutions,
    facts,
)

OPTIMISATIONS: tuple[Optimisation, ...] = (
    Fp32(),
    Fusion(),
    StaticInt8(),
    MixedInt8(),
    DynamicInt8(),
)
NETWORKS = (convolutions, attention)


def digests() -> Iterator[str]:
    """A line for each candidate of each network: its name and its SHA-256."""
    for network in NETWORKS:
        model = network()
        workshop = QuantiseWorkshop(model, _nearly_all_lost_in_first)
        known = facts(model, instruction_set="avx2")
        planned: list[Candidate] = []
        for optimisation in OPTIMISATIONS:
            new = optimisation.plan(known, planned).candidates
            planned += new
            for candidate in new:
                data = workshop.make(optimisation, candidate).model.SerializeToString()
                yield f"{network.__name__} {candidate.name} {hashlib.sha256(data).hexdigest()}"


def _nearly_all_lost_in_first(model: ModelProto, limit: int) -> float:
    """The first layer costs all of the accuracy."""
    made = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    first = next(node for node in model.graph.node if node.op_type in ("Conv", "MatMul"))
    return float(first.input[1] in made)


@pytest.mark.slow
def test_each_process_makes_the_same_bytes_quietly_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the other one strings hash differently, and files are in another folder."""
    here, scratch, elsewhere = (tmp_path / name for name in ("here", "scratch", "elsewhere"))
    for folder in (here, scratch, elsewhere):
        folder.mkdir()
    environment = {**os.environ, "PYTHONHASHSEED": "1", "TMPDIR": str(elsewhere)}
    command = [sys.executable, "-m", __name__]
    ended = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=240
    )
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    lines = list(digests())
    assert len(lines) > 20
    assert lines == ended.stdout.splitlines()
    assert ("", "", "") == (ended.stderr, *capfd.readouterr())
    assert [] == [path for folder in (here, scratch, elsewhere) for path in folder.iterdir()]


def test_logging_is_as_before_after_an_error() -> None:
    before = logging.root.manager.disable
    message = r"^tools refuses the network: it is odd$"
    with pytest.raises(OptimisationError, match=message), library("tools"):
        raise ValueError("it is odd\nand more")
    assert before == logging.root.manager.disable


@pytest.mark.parametrize("error", [OptimisationError("ours"), MemoryError()])
def test_errors_that_say_enough_are_left_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, library("tools"):
        raise error
    assert error is caught.value


if __name__ == "__main__":
    print("\n".join(digests()))
