"""`python -m dlagent.report.generate [--check]`: the reference of report.json and its JSON schema.

Run from the repository's root by `make generate`, beside dlagent.api.generate, which may not know
of reports.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlagent.api.generate import update
from dlagent.api.reference import table
from dlagent.domain.artifact.report import FORMAT_VERSION, Report

Json = dict[str, Any]

_SCHEMA = "report.schema.json"
_FOLDER = Path("docs/reference")


def files() -> Iterator[tuple[Path, str]]:
    """Each generated file, relative to the root, and its text."""
    schema = report_schema()
    yield _FOLDER / _SCHEMA, json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    yield _FOLDER / "report.md", reference(schema)


def report_schema() -> Json:
    """The JSON schema of report.json, as it is written."""
    schema = Report.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def reference(schema: Json) -> str:
    """The page, in Markdown: a section for each type."""
    parts = [
        "# report.json\n",
        "<!-- Generated from operator/dlagent/domain/artifact/report.py by `make generate`; do not"
        " edit. -->\n",
        "What a build tried, measured and decided; it lies beside the artifact, and `dlagent report"
        " --json` prints it. Times are in milliseconds for a batch, on one thread or on the"
        " accelerator. Accuracies and drops are shares: 0.01 is one point. A field without a value"
        f" is left out. This is format {FORMAT_VERSION}; readers should ignore fields that they do"
        f" not know. The same as a JSON schema: [{_SCHEMA}]({_SCHEMA}).\n",
        *_section("Report", schema),
    ]
    for name, definition in schema["$defs"].items():
        parts += _section(name, definition)
    return "\n".join(parts)


def _section(name: str, definition: Json) -> Iterator[str]:
    yield f"## {name}\n"
    if "description" in definition:
        yield _line(definition["description"]) + "\n"
    if "enum" in definition:
        yield "One of " + ", ".join(f"`{value}`" for value in definition["enum"]) + ".\n"
        return
    rows = (
        (
            f"`{field}`",
            _kind(found),
            _line(found.get("description", "")),
            "no" if {"type": "null"} in found.get("anyOf", []) else "yes",
        )
        for field, found in definition["properties"].items()
    )
    yield table(("field", "type", "what it is", "always there"), rows)


def _kind(field: Json) -> str:
    if "$ref" in field:
        name = field["$ref"].removeprefix("#/$defs/")
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        kinds = [_kind(each) for each in field["anyOf"] if each.get("type") != "null"]
        return " or ".join(kinds)
    if field["type"] == "array":
        return f"list of {_kind(field['items'])}"
    inner = field.get("additionalProperties")
    return f"map to {_kind(inner)}" if isinstance(inner, dict) else str(field["type"])


def _line(text: str) -> str:
    return " ".join(text.split())


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 where --check finds a difference."""
    return update(files(), "the types of the report say", check=arguments == ["--check"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
