"""Stages "data" and "search": from the source to the fastest network that keeps its accuracy.

Called by dlagent.build.pipeline. Gathers what the search needs, runs it, and tells of it.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from dlagent.api.types import Tensor
from dlagent.build import chain
from dlagent.build.contest import Jury
from dlagent.build.cpu import instruction_set
from dlagent.build.dataset import check_labels, load_dataset, split_dataset
from dlagent.build.failure import BuildError, GateFailedError
from dlagent.build.golden import TOLERANCE
from dlagent.build.jury import DataJury, ParityJury
from dlagent.build.load import Loaded
from dlagent.build.machines import Machine
from dlagent.build.network import Network, sample
from dlagent.build.onnx_graph import operator_counts
from dlagent.build.optimisations import optimisations
from dlagent.build.parity import SINGLE, Run, as_run
from dlagent.build.plan import Plan, plan
from dlagent.build.progress import Progress
from dlagent.build.race import BATCHES
from dlagent.build.runtime import Array
from dlagent.build.scripts.ensemble import Front
from dlagent.build.search import Found, Search
from dlagent.build.workshop import Examples, Judge, SourceWorkshop
from dlagent.domain.artifact.optimise import Optimise
from dlagent.domain.artifact.report import CandidateReport, DataReport, GateReport, Verdict
from dlagent.domain.artifact.request import BuildRequest
from dlagent.domain.artifact.summary import FailureReason
from dlagent.domain.data.split import SHARES, Part
from dlagent.domain.gate.limit import NO_LOSS, Limit
from dlagent.domain.gate.source import source_problem
from dlagent.domain.search.candidate import SOURCE, Candidate, Facts, Precision

_NO_DATA_EFFORTS = (1.0,)  # what changes no answer is made in full at once


@dataclass(frozen=True)
class Optimised:
    """The network that serves, what it must answer like, and what is told of the search."""

    candidate: Candidate
    network: Network
    run: Run
    candidates: list[CandidateReport]
    data: DataReport | None = None
    gate: GateReport | None = None
    on_accelerator: bool = False


@dataclass(frozen=True)
class _Judging:
    """Who judges, by what limit, on which examples."""

    jury: Jury
    judge: Judge
    limit: Limit
    examples: Examples | None
    report: DataReport | None


def optimise(
    request: BuildRequest,
    loaded: Loaded,
    progress: Progress,
    scratch: Path,
    machine: Machine,
    engine_refused: str | None,
    seconds: float,
    efforts: Sequence[float],
    front: Front | None,
) -> Optimised:
    """Find the network to serve, the fastest on `machine`, in so many seconds.

    `engine_refused` is why it can be none of TensorRT; `front` is the script that takes what
    clients send.

    Raises:
        BuildError: InvalidDataset; PythonStepFailed; GateFailed, as GateFailedError.
    """
    network = loaded.network
    judging = _judging(request, loaded, progress, machine, front)
    facts = _facts(request, loaded, judging.examples, machine, engine_refused)
    folder = Path(tempfile.mkdtemp(prefix="candidates-", dir=scratch))
    workshop = SourceWorkshop(
        network, judging.examples, loaded.programs, judging.judge, optimisations(), folder
    )
    planned = workshop.plan(facts)
    progress.begin("search", f"{len(planned.candidates)} versions to try")
    batches = BATCHES if network.batched else (1,)
    sizes = BATCHES if network.batched else (None,)
    search = Search(
        workshop,
        judging.jury,
        lambda model, engine: machine.start(model, network.interface, engine),
        network.model,
        [sample(network.inputs, "race", size, network.free_size) for size in sizes],
        batches,
        judging.limit,
        lambda text: progress.begin("search", text),
        efforts if judging.examples is not None else _NO_DATA_EFFORTS,
    )
    found = search.run(planned, lambda c: _may_serve(c, request.optimise), seconds)
    return _optimised(loaded, judging, machine, found)


def _judging(
    request: BuildRequest,
    loaded: Loaded,
    progress: Progress,
    machine: Machine,
    front: Front | None,
) -> _Judging:
    if request.optimise is None or loaded.dataset is None:
        tolerance = SINGLE if machine.lacks is not None else TOLERANCE[Precision.FP32]
        parity = ParityJury(loaded.run, loaded.network, tolerance)
        return _Judging(parity, parity, NO_LOSS, None, None)
    progress.begin("data", f"reading {request.optimise.dataset.uri}")
    limit = request.optimise.limit()
    examples, report = _examples(request, request.optimise, loaded.network, loaded.dataset, front)
    jury = DataJury(loaded.network, examples, limit)
    _check_source(jury, examples, limit)
    return _Judging(jury, jury, limit, examples, report)


def _examples(
    request: BuildRequest, wanted: Optimise, network: Network, path: Path, front: Front | None
) -> tuple[Examples, DataReport]:
    if not network.batched:
        raise BuildError(
            FailureReason.INVALID_DATASET,
            "the network has no batch axis, and a data set is judged in batches: export the"
            " network with a free first axis, or remove spec.build.dataset",
        )
    planned = plan(network, request)
    sent = front.inputs if front is not None else planned.raw()
    dataset = load_dataset(path, sent, request.max_source_bytes)
    classes = network.outputs[0].shape[-1] if network.outputs[0].shape else 1
    if dataset.labels is not None:
        check_labels(dataset.labels, classes)
    parts = split_dataset(dataset)
    report = DataReport(
        uri=wanted.dataset.uri,
        sha256=wanted.dataset.sha256,
        examples=len(dataset),
        duplicates=parts.duplicates,
        parts={str(part): len(numbers) for part, numbers in parts.parts.items()},
        classes=classes if dataset.labels is not None else None,
    )

    def perceive(raw: Mapping[str, Array]) -> dict[str, Array]:
        if front is None:
            return _perceived(planned, raw)
        made = front.run(raw, batched=True)
        return _perceived(planned, {t.name: _unserved(t, made[t.name]) for t in planned.raw()})

    return Examples(dataset.inputs, dataset.labels, parts.parts, perceive), report


def _unserved(tensor: Tensor, value: Array) -> Array:
    """Without the axis that one value an example has where it is served."""
    return value if tensor.shape else value.reshape(len(value))


def _perceived(planned: Plan, raw: Mapping[str, Array]) -> dict[str, Array]:
    """What the network takes, of what clients send; by the steps' references in numpy."""
    return {
        input_.wanted.name: chain.reference(
            input_.steps, raw[input_.raw.name], batched=True, inputs={}
        ).values[-1]
        for input_ in planned.perceive
    }


def _check_source(jury: DataJury, examples: Examples, limit: Limit) -> None:
    """That the source can be judged by, and that there are examples enough to let anything pass."""
    metric = limit.metric
    labels = examples.labels(Part.SELECT) if metric.needs_labels else None
    if metric.needs_labels and labels is None:
        raise BuildError(
            FailureReason.INVALID_DATASET,
            f"the data set has no array labels, which the metric {metric} needs; add the class"
            " number of each example, or use metric MaxAbsError",
        )
    problem = source_problem(jury.source_scores(Part.SELECT), labels, metric.k)
    if problem is not None:
        raise BuildError(FailureReason.INVALID_DATASET, problem)
    needed = jury.too_few()
    if needed is not None:
        whole = round(needed / SHARES[Part.GATE])
        raise BuildError(
            FailureReason.INVALID_DATASET,
            f"the gate has {examples.count(Part.GATE):,} examples, and it takes {needed:,} to show"
            f" that no more than {limit.say(limit.at_most)} are lost; give about {whole:,}"
            " examples in all, or raise spec.build.gate.maxDropPercent",
        )


def _facts(
    request: BuildRequest,
    loaded: Loaded,
    examples: Examples | None,
    machine: Machine,
    engine_refused: str | None,
) -> Facts:
    wanted = request.optimise
    labelled = examples is not None and examples.labels(Part.TRAIN, 1) is not None
    return Facts(
        operators=operator_counts(loaded.network.model),
        trainable=loaded.programs.load_source is not None,
        has_student=loaded.programs.load_student is not None,
        train_examples=examples.count(Part.TRAIN) if examples else 0,
        calibrate_examples=examples.count(Part.CALIBRATE) if examples else 0,
        labelled=labelled,
        instruction_set=instruction_set(),
        accelerator=request.target.accelerator,
        accelerator_lacks=machine.lacks,
        product=request.target.accelerator_product,
        engine=request.engine,
        engine_refused=engine_refused,
        precision=wanted.precision if wanted else None,
        channels_percent=wanted.channels_percent if wanted else None,
        epochs=wanted.epochs if wanted else 0,
    )


def _may_serve(candidate: Candidate, wanted: Optimise | None) -> bool:
    return wanted is None or wanted.precision in (None, candidate.precision)


def _optimised(loaded: Loaded, judging: _Judging, machine: Machine, found: Found) -> Optimised:
    if found.chosen is None or found.model is None:
        judged = [r for r in found.reports if r.gate or r.select_metric is not None]
        told = judged or [r for r in found.reports if r.verdict is Verdict.NOT_APPLICABLE]
        tried = ", ".join(f"{report.name}: {report.reason}" for report in told)
        raise GateFailedError(
            "no version of the network that spec.build.precision allows keeps the accuracy"
            f" ({tried}); allow a larger loss in spec.build.gate, another precision, or give more"
            " examples",
            found.reports,
            str(judging.limit.metric),
        )
    network = replace(loaded.network, model=found.model)
    run = loaded.run if found.chosen.name == SOURCE else as_run(network)
    return Optimised(
        found.chosen,
        network,
        run,
        found.reports,
        judging.report,
        _gate_report(judging, network, machine, found.chosen),
        machine.lacks is None,
    )


def _gate_report(
    judging: _Judging, network: Network, machine: Machine, chosen: Candidate
) -> GateReport | None:
    if not isinstance(judging.jury, DataJury):
        return None  # there is no data set
    data = network.model.SerializeToString()
    with closing(machine.start(data, network.interface, chosen.engine)) as runner:
        return judging.jury.report(runner)
