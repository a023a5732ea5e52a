"""The tables of a report, as text: the page and the terminal show the same ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dlagent.domain.artifact.comparison import (
    chosen_of,
    compared_batch,
    drop_of,
    lower_is_better,
    milliseconds_at,
    ranked,
    source_of,
    speeds,
    worst_classes,
)
from dlagent.domain.artifact.report import CandidateReport, ClassReport, Report
from dlagent.domain.search.candidate import SOURCE
from dlagent.report import words
from dlagent.report.words import plain

_NAME, _SENTENCE = 60, 400
_HEADINGS = {"batch": "batch", "milliseconds": "ms a batch"}


@dataclass(frozen=True)
class Row:
    """`strong` is the row to look at, `marked` one to worry about; `note` goes below the first."""

    cells: tuple[str, ...]
    note: str = ""
    strong: bool = False
    marked: bool = False


@dataclass(frozen=True)
class Table:
    """Columns from `texts` on are figures, and stand to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    texts: int = 1
    note: str = ""


def speed(report: Report) -> Table:
    """The chosen candidate against the source, by batch."""
    rows = (
        Row(
            (
                str(each.batch),
                words.milliseconds(each.before_milliseconds),
                words.milliseconds(each.after_milliseconds),
                words.times(each.factor),
            )
        )
        for each in speeds(report)
    )
    return Table("Speed", ("batch", "source", "chosen", "faster"), tuple(rows))


def accuracy(report: Report) -> Table:
    """The metric before and after, the bound that was held against the gate, and the size."""
    rows: list[tuple[str, str]] = []
    source, chosen = source_of(report), chosen_of(report)
    gate = report.gate
    if gate is not None:
        name = plain(gate.metric, _NAME)
        rows += [
            (f"{name} of the source", words.metric(report, gate.before)),
            (f"{name} of the chosen", words.metric(report, gate.after)),
            ("the gate asks for", words.gate_limit(report)),
        ]
        if chosen is not None and chosen.gate is not None:
            rows.append(("what is assured", words.bound(report, chosen.gate)))
    if source is not None and chosen is not None and chosen.size_bytes is not None:
        rows.append(
            ("size", f"{words.size(source.size_bytes)} before, {words.size(chosen.size_bytes)} now")
        )
    rows.append(("largest error of FP32 on random inputs", f"{report.parity_largest_error:.2g}"))
    note = "" if gate is not None else "No data set was given, so nothing is said about accuracy."
    return Table("Accuracy and size", ("", ""), _pairs(rows), texts=2, note=note)


def candidates(report: Report, brief: bool = False) -> Table:
    """All candidates that were measured: the chosen one first, then by speed.

    `brief`: with their times for one batch, not for all.
    """
    batches = sorted({t.batch for each in report.candidates for t in each.timings})
    if brief:
        batches = [batch for batch in batches if batch == compared_batch(report.candidates)]
    columns = (
        "candidate",
        "verdict",
        *(f"batch {batch}" for batch in batches),
        "faster",
        plain(report.gate.metric, _NAME) if report.gate is not None else "metric",
        "loss",
        "size",
        "took",
    )
    rows = tuple(
        _candidate(report, each, batches)
        for each in ranked(report.candidates)
        if _was_measured(each)
    )
    note = "Metrics are of the selection examples; the loss of a finalist is of the gate's."
    return Table("Candidates", columns, rows, texts=2, note=note if report.gate else "")


def rest(report: Report) -> Table:
    """What was not measured, and why."""
    rows = (
        Row(
            (
                plain(each.name, _NAME),
                words.VERDICTS[each.verdict],
                plain(each.reason, _SENTENCE),
            )
        )
        for each in ranked(report.candidates)
        if not _was_measured(each)
    )
    return Table("What was not measured, and why", ("candidate", "", "reason"), tuple(rows), 3)


def classes(report: Report) -> Table:
    """Each class before and after; the at most three largest losses are marked."""
    found = report.gate.per_class if report.gate is not None else []
    worst = worst_classes(found)
    columns = ("class", "examples", "recall before", "after", "change", "precision before", "after")
    rows = tuple(_class(each, each.label in worst) for each in found)
    note = "Marked: the classes that lose most of their recall." if worst else ""
    return Table("By class", columns, rows, note=note)


def tau(report: Report) -> Table:
    """How long a batch takes to serve."""
    points = [point.model_dump(exclude_none=True) for point in report.tau]
    names = list(dict.fromkeys(name for point in points for name in point))
    rows = (Row(tuple(_figure(point.get(name)) for name in names)) for point in points)
    how = plain(report.tau_measured or "", _SENTENCE)
    said = [f"{how[:1].upper()}{how[1:]}."] if how else []
    if report.tau_measured_on:
        said.append(f"Measured on: {plain(report.tau_measured_on, 200)}.")
    return Table(
        "Time of a batch as it is served",
        tuple(_HEADINGS.get(name, name.replace("_", " ")) for name in names),
        tuple(rows),
        texts=0,
        note=" ".join(said),
    )


def data(report: Report) -> Table:
    """The data set and its parts."""
    found = report.data
    if found is None:
        return Table("Data set", ("", ""), ())
    rows = [
        ("read from", plain(found.uri, _SENTENCE)),
        ("SHA-256", plain(found.sha256, 64)),
        ("examples", f"{found.examples:,}"),
        ("duplicates left out", f"{found.duplicates:,}"),
        *((f"to {plain(part, _NAME)}", f"{count:,}") for part, count in found.parts.items()),
    ]
    if found.classes is not None:
        rows.append(("classes", f"{found.classes:,}"))
    return Table("Data set", ("", ""), _pairs(rows), texts=2)


def stages(report: Report) -> Table:
    """How long each stage took."""
    rows = [(plain(name, _NAME), words.seconds(s)) for name, s in report.stage_seconds.items()]
    rows.append(("all", words.seconds(sum(report.stage_seconds.values()))))
    return Table("Stages", ("stage", "took"), _pairs(rows) if len(rows) > 1 else ())


def origin(report: Report) -> Table:
    """The source, the machine, the versions."""
    rows = [
        ("source", plain(report.source.uri, _SENTENCE)),
        ("SHA-256 of the source", plain(report.source.sha256, 64)),
        ("size of the source", words.size(report.source.size_bytes)),
        ("artifact", plain(report.key, 64)),
    ]
    return Table(
        "Where it comes from",
        ("", ""),
        _pairs([*rows, *_items(report.machine), *_items(report.versions)]),
        texts=2,
    )


def _was_measured(each: CandidateReport) -> bool:
    return bool(each.timings) or each.select_metric is not None


def _candidate(report: Report, each: CandidateReport, batches: list[int]) -> Row:
    source, batch = source_of(report), compared_batch(report.candidates)
    before = milliseconds_at(source, batch) if source is not None and batch is not None else None
    after = milliseconds_at(each, batch) if batch is not None else None
    lost = (
        None if each.name == SOURCE else drop_of(report.candidates, each, lower_is_better(report))
    )
    details = [plain(each.reason, _SENTENCE), words.effort(each), _details(each)]
    return Row(
        cells=(
            plain(each.name, _NAME),
            words.VERDICTS[each.verdict],
            *(words.milliseconds(milliseconds_at(each, size)) for size in batches),
            words.times(before / after) if before and after else words.NONE,
            words.metric(report, each.select_metric),
            words.drop(report, lost),
            words.size(each.size_bytes),
            words.seconds(each.seconds),
        ),
        note="; ".join(filter(None, details)),
        strong=each.name == report.chosen,
    )


def _details(each: CandidateReport) -> str:
    """How it was made: `of prune-50, calibration Percentile`."""
    parts = [f"of {plain(each.base, _NAME)}"] if each.base else []
    parts += [f"{plain(name, _NAME)} {plain(str(v), _NAME)}" for name, v in each.options.items()]
    parts += [f"{plain(name, _NAME)}: {plain(v, _SENTENCE)}" for name, v in each.notes.items()]
    return ", ".join(parts)


def _class(each: ClassReport, is_worst: bool) -> Row:
    change = (each.recall_after - each.recall_before) * 100
    name = f"{each.label}" if each.name is None else f"{each.label} {plain(each.name, _NAME)}"
    shares = [each.precision_before, each.precision_after]
    return Row(
        cells=(
            name,
            f"{each.examples:,}",
            f"{each.recall_before * 100:.2f} %",
            f"{each.recall_after * 100:.2f} %",
            f"{change:+.2f}",
            *(f"{share * 100:.2f} %" for share in shares),
        ),
        marked=is_worst,
    )


def _figure(value: object) -> str:
    return (
        f"{value:.4g}" if isinstance(value, float) else words.NONE if value is None else f"{value}"
    )


def _items(mapping: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(plain(name, _NAME), plain(value, _SENTENCE)) for name, value in mapping.items()]


def _pairs(rows: Iterable[tuple[str, str]]) -> tuple[Row, ...]:
    return tuple(Row(row) for row in rows)
