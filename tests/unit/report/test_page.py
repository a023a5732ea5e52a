"""The page stands alone, says what matters, and takes what others wrote for text."""

import html as entities
from html.parser import HTMLParser
from typing import Any

import pytest

from dlagent.domain.artifact.report import DataReport, Report
from dlagent.report.page import command, html
from tests.unit.report import examples

EVIL = "<script src='https://example.com/x.js'>alert(\"1\")</script><img src=x onerror=alert(1)>"
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Read(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "xlink:href", "srcset", "action", "data"):
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def evil() -> Report:
    made = examples.report()
    gate = made.gate
    assert gate is not None
    changed = [
        each.model_copy(
            update={
                "name": f"{each.name}{EVIL}",
                "reason": EVIL,
                "optimisation": EVIL,
                "options": {EVIL: EVIL},
                "notes": {EVIL: EVIL},
            }
        )
        for each in made.candidates
    ]
    update: dict[str, Any] = {
        "candidates": changed,
        "chosen": f"int8{EVIL}",
        "request": {EVIL: EVIL},
        "machine": {EVIL: EVIL},
        "versions": {EVIL: EVIL},
        "stage_seconds": {EVIL: 1.0},
        "tau_measured_on": EVIL,
        "source": made.source.model_copy(update={"uri": f"pvc://{EVIL}"}),
        "gate": gate.model_copy(
            update={
                "metric": EVIL,
                "per_class": [c.model_copy(update={"name": EVIL}) for c in gate.per_class],
            }
        ),
        "data": DataReport(uri=EVIL, sha256=EVIL, examples=1, duplicates=0, parts={EVIL: 1}),
    }
    return made.model_copy(update=update)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(examples.report(), id="a build with a gate"),
        pytest.param(examples.plain(), id="no data set"),
        pytest.param(examples.errors(), id="the largest error as the metric"),
        pytest.param(evil(), id="what others wrote is hostile"),
    ],
)
def test_it_is_whole_and_asks_for_nothing(made: Report) -> None:
    read = Read(html(made))

    assert [] == read.open
    assert {"html", "main", "table", "svg", "style"} <= read.tags
    assert not read.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert [] == [link for link in read.links if not link.startswith("#")]
    assert [] == read.handlers


def test_what_others_wrote_is_shown_as_they_wrote_it() -> None:
    made = html(evil())

    assert EVIL not in made
    assert "<script" not in made
    assert EVIL in Read(made).text
    assert entities.escape(EVIL, quote=False) not in Read(made).text


@pytest.mark.parametrize(
    "sentence",
    [
        pytest.param("int8 is 2.62x as fast as the source", id="what was chosen"),
        pytest.param("a loss below 0.31 points with 95 % confidence", id="what is assured"),
        pytest.param("at most 1 point below the source", id="the gate"),
        pytest.param("2.67 MB before, 690 kB now", id="the size"),
        pytest.param("the time of the build (10 minutes) was over", id="why one was not tried"),
        pytest.param("estimated with 20 % of the work", id="what an estimate is worth"),
        pytest.param("calibration Percentile", id="how one was made"),
        pytest.param("6 Shirt", id="a class"),
        pytest.param("to calibrate 2,000", id="a part of the data set"),
        pytest.param("avx512_vnni", id="the machine"),
        pytest.param("onnxruntime 1.23.0", id="a version"),
        pytest.param("export 3.1 s", id="a stage"),
        pytest.param('"sourceUri": "pvc://models/fashion/cnn.pt2"', id="the request"),
        pytest.param("dlagent build --report report.json --source-root volumes", id="the command"),
    ],
)
def test_it_tells(sentence: str) -> None:
    assert sentence in Read(html(examples.report())).text


def test_a_thousand_classes_are_folded() -> None:
    made = examples.report()
    gate = made.gate
    assert gate is not None
    many = [gate.per_class[0].model_copy(update={"label": label}) for label in range(1000)]

    folded = html(made.model_copy(update={"gate": gate.model_copy(update={"per_class": many})}))

    assert "<details><summary>1000 classes" in folded
    assert "<details>" not in html(made)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        pytest.param(
            "pvc://models/a.onnx",
            "dlagent build --report report.json --source-root volumes --out model_repo",
            id="a volume must be there as a folder",
        ),
        pytest.param(
            "file:///home/me/my net.onnx",
            "dlagent build --report report.json --source 'my net.onnx' --out model_repo",
            id="a file must be named, without whose it was",
        ),
        pytest.param(
            "https://example.com/a.onnx",
            "dlagent build --report report.json --out model_repo",
            id="an address says where it is",
        ),
    ],
)
def test_how_to_build_it_again(uri: str, expected: str) -> None:
    made = examples.report()
    source = made.source.model_copy(update={"uri": uri})

    assert expected == command(made.model_copy(update={"source": source}))
