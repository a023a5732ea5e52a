"""report.html: all of a report in one file, which needs no network and runs no script.

Called by the build and by `dlagent report --html`. What others wrote (names, labels, reasons) is
text to the template, which escapes all of it; the page's own policy forbids scripts and requests.
"""

import json
import shlex
from pathlib import PurePosixPath

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dlagent.domain.artifact.report import Report
from dlagent.report import picture, tables
from dlagent.report.words import headline, plain

_CLASSES_OPEN = 40  # a longer table is folded

_ENVIRONMENT = Environment(
    loader=PackageLoader("dlagent.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def html(report: Report) -> str:
    """The page."""
    classes = tables.classes(report)
    return _ENVIRONMENT.get_template("report.html.j2").render(
        title=f"{plain(report.chosen, 60)}: what the build chose",
        headline=headline(report),
        # Made by matplotlib, which escapes the names in it.
        wide=Markup(picture.svg(report, picture.WIDE)),  # noqa: S704
        narrow=Markup(picture.svg(report, picture.NARROW)),  # noqa: S704
        first=_shown(tables.speed(report), tables.accuracy(report)),
        candidates=_shown(tables.candidates(report), tables.rest(report)),
        classes=classes,
        classes_open=len(classes.rows) <= _CLASSES_OPEN,
        last=_shown(
            tables.tau(report), tables.data(report), tables.stages(report), tables.origin(report)
        ),
        command=command(report),
        request=json.dumps(report.request, indent=2, ensure_ascii=False),
    )


def command(report: Report) -> str:
    """How to build the same again, given the report and what its URIs name."""
    words = ["dlagent", "build", "--report", "report.json"]
    scheme, separator, path = report.source.uri.partition("://")
    if separator and scheme == "pvc":
        words += ["--source-root", "volumes"]
    elif separator and scheme == "file":
        words += ["--source", plain(PurePosixPath(path).name)]
    return shlex.join([*words, "--out", "model_repo"])


def _shown(*found: tables.Table) -> list[tables.Table]:
    return [table for table in found if table.rows]
