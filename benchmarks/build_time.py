"""`build_time`: where the time of a build goes, and what memory it takes.

cold_s        the build's programs as the Job runs them, one after the other, nothing known
stages_s      the same by stage
cached_s      the programs again for the same request: the artifact is known
peak_mib      resident memory of a program at most, cold
baseline_s    by hand: torch loads the program, exports it, and ONNX Runtime runs it once
baseline_mib  its memory

`--dataset` gives the build the example's data set: then most of the time is that of the search.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from benchmarks.bench import BenchmarkError, report, say
from benchmarks.builds import request_of
from benchmarks.models.subject import subjects
from dlagent.build.containers import REQUEST_VARIABLE
from dlagent.domain.artifact.layout import ARTIFACTS, REPORT
from dlagent.domain.artifact.request import BuildRequest, Target
from examples.fashion_mnist.train import ensure_trained

CLAIM = "models"
_BY_HAND = """
import sys, numpy, onnxruntime, torch
program = torch.export.load(sys.argv[1])
torch.onnx.export(program, dynamo=True, external_data=False, verbose=False).save(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])
session.run(None, {session.get_inputs()[0].name: numpy.zeros((1, 1, 28, 28), numpy.float32)})
"""


def main() -> None:
    """Build, build again, do it by hand; report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks build_time")
    parser.add_argument("--dataset", action="store_true", help="search for faster versions too")
    parser.add_argument("--minutes", type=int, default=20, help="time budget of the search")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="build-time-") as folder:
        root = Path(folder)
        request = _request(root, options.minutes if options.dataset else None)
        cold_s, peak_mib = _timed(_programs(root), {REQUEST_VARIABLE: request.model_dump_json()})
        say(f"cold {cold_s:.1f} s")
        (artifact,) = (root / "store" / ARTIFACTS).iterdir()
        stages = json.loads((artifact / REPORT).read_text())["stageSeconds"]
        cached_s, _ = _timed(_programs(root), {REQUEST_VARIABLE: request.model_dump_json()})
        source = root / "sources" / CLAIM / "net.pt2"
        by_hand = [sys.executable, "-c", _BY_HAND, str(source), str(root / "by-hand.onnx")]
        baseline_s, baseline_mib = _timed([by_hand], {})
    report(
        {
            "cold_s": round(cold_s, 2),
            "stages_s": stages,
            "cached_s": round(cached_s, 2),
            "peak_mib": peak_mib,
            "baseline_s": round(baseline_s, 2),
            "baseline_mib": baseline_mib,
        }
    )


def _request(root: Path, minutes: int | None) -> BuildRequest:
    """A request whose source lies in a claim below `root`; with a data set where there is time."""
    claim = root / "sources" / CLAIM
    claim.mkdir(parents=True)
    trained = ensure_trained(Console(stderr=True))
    (claim / "net.pt2").write_bytes(trained.exported_program.read_bytes())
    target = Target(triton_version="24.10", accelerator="cpu")
    uri = f"pvc://{CLAIM}/net.pt2"
    if minutes is None:
        return BuildRequest(source_uri=uri, target=target, max_source_bytes=2**31)
    subject = subjects()["cnn"]()
    (claim / "examples.npz").symlink_to(subject.dataset)
    found = request_of(subject, minutes, epochs=6)
    assert found.optimise is not None
    return found.model_copy(update={"source_uri": uri})


def _programs(root: Path) -> list[list[str]]:
    """The containers of a build's pod, one after the other, with folders that are new."""
    folder = Path(tempfile.mkdtemp(dir=root))
    shared = {name: folder / name for name in ("fetched", "output")}
    for path in shared.values():
        path.mkdir()
    store = ["--store", str(root / "store")]
    output = ["--output", str(shared["output"])]
    own = {
        "fetch": [*store, "--sources", str(root / "sources")],
        "build": output,
        "publish": [*output, *store],
    }
    common = ["--fetched", str(shared["fetched"]), "--termination-log", str(folder / "message")]
    start = [sys.executable, "-m", "dlagent.build"]
    return [[*start, name, *options, *common] for name, options in own.items()]


def _timed(commands: list[list[str]], environment: dict[str, str]) -> tuple[float, int]:
    """Seconds, and the most MiB of memory that any process so far has had."""
    began = time.monotonic()
    for command in commands:
        done = subprocess.run(
            command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            raise BenchmarkError(f"{command[:4]} ended with {done.returncode}")
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return time.monotonic() - began, round(peak_kib / 1024)


if __name__ == "__main__":
    main()
