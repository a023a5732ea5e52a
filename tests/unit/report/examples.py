"""Reports such as builds write; the figures are those that were measured on the example CNN."""

from dlagent.domain.artifact.interface import TauPoint
from dlagent.domain.artifact.report import (
    CandidateReport,
    ClassReport,
    DataReport,
    GateReport,
    GateResult,
    Report,
    SourceReport,
    Timing,
    Verdict,
)

CLASSES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag")


def timings(*milliseconds: float) -> list[Timing]:
    """The times for batches of 1, 8 and 32."""
    return [
        Timing(
            batch=batch,
            milliseconds=value,
            low_milliseconds=value * 0.98,
            high_milliseconds=value * 1.03,
        )
        for batch, value in zip((1, 8, 32), milliseconds, strict=False)
    ]


def gate(before: float, after: float, bound: float, limit: float = 0.01) -> GateResult:
    return GateResult(
        before=before,
        after=after,
        drop=before - after,
        upper_bound=bound,
        level=0.95,
        passed=bound <= limit,
    )


def candidates() -> list[CandidateReport]:
    """One for each verdict and more, of the CNN."""
    return [
        CandidateReport(
            name="fp32",
            verdict=Verdict.SLOWER,
            reason="it is the source itself; int8-s8s8 is faster",
            optimisation="graph",
            precision="FP32",
            effort=1.0,
            seconds=4.0,
            size_bytes=2_670_000,
            timings=timings(0.29, 2.2, 9.4),
            select_metric=0.9017,
        ),
        CandidateReport(
            name="int8",
            verdict=Verdict.CHOSEN,
            reason="the fastest that keeps the accuracy",
            optimisation="static-int8",
            precision="INT8",
            options={"calibration": "Percentile", "perChannel": True},
            effort=1.0,
            seconds=9.5,
            size_bytes=690_000,
            timings=timings(0.12, 0.84, 3.5),
            select_metric=0.9013,
            gate=gate(0.9022, 0.9018, 0.0031),
        ),
        CandidateReport(
            name="int8-s8s8",
            verdict=Verdict.SLOWER,
            reason="int8 is faster",
            optimisation="static-int8",
            precision="INT8",
            effort=1.0,
            seconds=9.1,
            size_bytes=690_000,
            timings=timings(0.16, 1.5, 5.1),
            select_metric=0.9009,
        ),
        CandidateReport(
            name="prune-50-int8",
            verdict=Verdict.GATE_FAILED,
            reason="loses 1.47 points, less than 2.03 with 95 % confidence; 1 point is allowed",
            optimisation="static-int8",
            precision="INT8",
            base="prune-50",
            effort=1.0,
            seconds=80.0,
            size_bytes=180_000,
            timings=timings(0.08, 0.65, 2.6),
            select_metric=0.887,
            gate=gate(0.9022, 0.8875, 0.0203),
        ),
        CandidateReport(
            name="prune-70",
            verdict=Verdict.DROPPED,
            reason="4.1 points are lost after a fifth of the epochs, and prune-50 is as fast",
            optimisation="prune",
            precision="FP32",
            effort=0.2,
            seconds=21.0,
            timings=timings(0.12, 0.98, 4.1),
            select_metric=0.861,
        ),
        CandidateReport(
            name="student",
            verdict=Verdict.NOT_APPLICABLE,
            reason="no student was given (spec.build.distill.student)",
        ),
        CandidateReport(
            name="int8-dynamic",
            verdict=Verdict.NOT_APPLICABLE,
            reason="the network has convolutions, for which dynamic quantisation is slower",
        ),
        CandidateReport(
            name="tensorrt",
            verdict=Verdict.FAILED,
            reason="no accelerator is there",
        ),
        CandidateReport(
            name="prune-30",
            verdict=Verdict.NOT_TRIED,
            reason="the time of the build (10 minutes) was over",
        ),
    ]


def report(with_classes: bool = True) -> Report:
    """The build of the CNN with a gate of one point."""
    return Report(
        key="3f" * 32,
        source=SourceReport(
            uri="pvc://models/fashion/cnn.pt2", sha256="ab" * 32, size_bytes=2_700_000
        ),
        request={
            "sourceUri": "pvc://models/fashion/cnn.pt2",
            "target": {"tritonVersion": "24.10", "accelerator": "cpu"},
            "maxSourceBytes": 2147483648,
        },
        chosen="int8",
        candidates=candidates(),
        data=DataReport(
            uri="pvc://models/fashion/train.npz",
            sha256="cd" * 32,
            examples=60_000,
            duplicates=43,
            parts={"train": 48_000, "calibrate": 2_000, "select": 5_000, "gate": 5_000},
            classes=10,
        ),
        gate=GateReport(
            metric="Accuracy",
            limit=0.01,
            before=0.9022,
            after=0.9018,
            per_class=classes() if with_classes else [],
        ),
        parity_largest_error=3e-7,
        batched=True,
        tau=[TauPoint(batch=batch, milliseconds=0.05 + 0.1 * batch) for batch in (1, 2, 4, 8, 32)],
        machine={"processor": "a processor", "instructionSet": "avx512_vnni", "threads": "1"},
        stage_seconds={"fetch": 0.1, "load": 0.4, "export": 3.1, "judge": 140.2, "measure": 12.0},
        versions={"onnxruntime": "1.23.0", "torch": "2.13.0"},
    )


def classes() -> list[ClassReport]:
    """Ten classes, of which the seventh loses most, and the last one has no name."""
    return [
        ClassReport(
            label=label,
            name=CLASSES[label] if label < len(CLASSES) else None,
            examples=500,
            recall_before=0.9 - 0.02 * (label == 6),
            recall_after=0.9 - 0.05 * (label == 6) - 0.004 * (label == 2) + 0.01 * (label == 1),
            precision_before=0.91,
            precision_after=0.905,
        )
        for label in range(10)
    ]


def crowded(count: int) -> Report:
    """So many candidates, most of them close together in speed and accuracy."""
    made = report()
    more = [
        CandidateReport(
            name=f"int8-percentile-{number}",
            verdict=(Verdict.SLOWER, Verdict.DROPPED, Verdict.GATE_FAILED)[number % 3],
            reason="another is faster",
            effort=0.2 if number % 3 == 1 else 1.0,
            timings=timings(0.1, 0.9 + 0.13 * (number % 7), 4.0),
            select_metric=0.8995 - 0.0012 * (number % 5) - 0.008 * (number % 3 == 2),
        )
        for number in range(count - 5)
    ]
    return made.model_copy(update={"candidates": [*made.candidates[:5], *more]})


def plain() -> Report:
    """A build without a data set: one candidate, which nothing is known of but its speed."""
    made = report()
    only = made.candidates[0].model_copy(
        update={"verdict": Verdict.CHOSEN, "select_metric": None, "reason": "nothing else applies"}
    )
    update = {"candidates": [only, *made.candidates[5:]], "chosen": "fp32"}
    return made.model_copy(update={**update, "data": None, "gate": None})


def errors() -> Report:
    """A build whose metric is the largest error, which the source itself has none of."""
    made = report()
    errors = {"fp32": 0.0, "int8": 0.021, "int8-s8s8": 0.034, "prune-50-int8": 0.9, "prune-70": 2.1}
    changed = [
        each.model_copy(
            update={
                "select_metric": errors.get(each.name),
                "gate": each.gate
                and GateResult(
                    before=0.0,
                    after=errors[each.name],
                    drop=errors[each.name],
                    passed=errors[each.name] <= 0.05,
                ),
            }
        )
        for each in made.candidates
    ]
    gate = GateReport(metric="MaxAbsError", limit=0.05, before=0.0, after=0.021)
    return made.model_copy(update={"candidates": changed, "gate": gate})
