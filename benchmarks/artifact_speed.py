"""`artifact_speed`: how much faster the build makes real networks, and what it costs in accuracy.

speedup_bN         time of a batch of N by ONNX Runtime FP32, as share of the winner's
speedup_bN_eager   the same against eager PyTorch
speedup_bN_compile the same against torch.compile; null where no C++ compiler is there
metric_before      of the source, on examples that the build has not seen
metric_after       of the winner, on the same
versions           of each version that was timed in the search: its speed-ups over the source
                   there, its metric on the selection examples, and the effort that it stands for

All on one thread, taken in turns. The baseline of each is in the same run by its nature.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.bench import report, say
from benchmarks.builds import LARGEST_BYTES, BuiltSubject, build_subject
from benchmarks.models.subject import Arrays, Subject, subjects
from dlagent.build import exported_program
from dlagent.build.race import BATCHES, race
from dlagent.build.runtime import Session
from dlagent.build.workshop import answers
from dlagent.domain.artifact.report import Report
from dlagent.domain.search.candidate import SOURCE
from dlagent.domain.search.timing import Rounds

WINNER, FP32, EAGER, COMPILED = "winner", "fp32", "eager", "compile"
ROUNDS = 31
SECONDS = 120.0


class TorchNetwork:
    """A torch module where a Session is expected."""

    def __init__(self, call: Callable[..., Any], names: list[str]) -> None:
        self._call = call
        self._names = names

    def run(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        with torch.inference_mode():
            result = self._call(*(torch.from_numpy(feed[name]) for name in self._names))
        return {"output": (result[0] if isinstance(result, tuple) else result).numpy()}


def main() -> None:
    """Build, race, report."""
    known = subjects()
    parser = argparse.ArgumentParser(prog="python -m benchmarks artifact_speed")
    parser.add_argument("--models", default=",".join(known), help="some of them, with commas")
    parser.add_argument("--minutes", type=int, default=30, help="time budget of each build")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--reports", type=Path, help="keep NAME.json, as report.json, in a folder")
    options = parser.parse_args()
    figures = {}
    for name in options.models.split(","):
        subject = known[name]()
        built = build_subject(subject, options.minutes, options.epochs)
        if options.reports:
            (options.reports / f"{name}.json").write_text(built.report.to_json())
        figures[name] = _figures(subject, built)
        say(f"{name}: {figures[name]}")
    report(figures)


def _figures(subject: Subject, built: BuiltSubject) -> dict[str, Any]:
    torch.set_num_threads(1)
    program = exported_program.load_program(subject.program, LARGEST_BYTES)
    source = Session(exported_program.export(program, None, None).SerializeToString())
    winner = Session(built.model)
    names = list(subject.unseen)
    module = program.module()
    racers: dict[str, Any] = {WINNER: winner, FP32: source, EAGER: TorchNetwork(module, names)}
    compiled = _compiled(module, names, subject.unseen)
    if compiled is not None:
        racers[COMPILED] = compiled
    feeds = [{n: values[:batch] for n, values in subject.unseen.items()} for batch in BATCHES]
    found = race(racers, feeds, ROUNDS, SECONDS)
    before = _output(source, subject.unseen)
    after = _output(winner, subject.unseen)
    return {
        "winner": built.report.chosen,
        **_speedups("", found.get(FP32), found[WINNER]),
        **_speedups("_eager", found.get(EAGER), found[WINNER]),
        **_speedups("_compile", found.get(COMPILED), found[WINNER]),
        "metric": subject.figure,
        "metric_before": round(subject.judge(before, before), 4),
        "metric_after": round(subject.judge(before, after), 4),
        "versions": _versions(built.report),
    }


def _versions(told: Report) -> dict[str, dict[str, float | None]]:
    """By name, as the search saw them; most have been made with less than the full effort."""
    timed = {each.name: each for each in told.candidates if each.timings}
    source = timed[SOURCE].timings
    return {
        name: {
            **{
                f"speedup_b{own.batch}": round(base.milliseconds / own.milliseconds, 2)
                for base, own in zip(source, each.timings, strict=False)
            },
            "metric": each.select_metric,
            "effort": each.effort,
        }
        for name, each in timed.items()
    }


def _speedups(suffix: str, baseline: Rounds | None, winner: Rounds) -> dict[str, float | None]:
    """By batch size, the median over the rounds of the ratio within each."""
    if baseline is None:
        return {f"speedup_b{batch}{suffix}": None for batch in BATCHES}
    ratios = np.median(baseline / winner, axis=0)
    return {
        f"speedup_b{batch}{suffix}": round(float(ratio), 2)
        for batch, ratio in zip(BATCHES, ratios, strict=True)
    }


def _output(session: Session, inputs: Arrays) -> NDArray[Any]:
    return next(iter(answers(session, inputs).values()))


def _compiled(module: Any, names: list[str], inputs: Arrays) -> TorchNetwork | None:
    """By torch.compile, which needs a C++ compiler."""
    network = TorchNetwork(torch.compile(module, dynamic=True), names)
    try:
        for batch in BATCHES:
            network.run({name: values[:batch] for name, values in inputs.items()})
    except Exception as error:  # noqa: BLE001  # inductor raises whatever its compiler says
        say(f"torch.compile: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
        return None
    return network
