"""docs/reference/dlagent.md, from the same schema as the CRD. Called by dlagent.api.generate.

dlagent.report.generate writes its page with the same tables.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from dlagent.api.conditions import MEANING, Reason
from dlagent.api.crd import COLUMNS, resource_schema
from dlagent.api.types import GROUP, KIND, VERSION

Json = dict[str, Any]


def reference() -> str:
    """The whole page, in Markdown."""
    schema = resource_schema()
    parts = [
        f"# {KIND}\n",
        "<!-- Generated from operator/dlagent/api by `make generate`; do not edit. -->\n",
        f"`apiVersion: {GROUP}/{VERSION}`, `kind: {KIND}`, short name `dla`. The same text is in"
        " `kubectl explain dlagent --recursive`.\n",
        "\n".join(f"- {rule['message']}." for rule in schema["x-kubernetes-validations"]) + "\n",
        "## Spec\n",
        _fields(schema["properties"]["spec"], "spec"),
        "## Status\n",
        _fields(schema["properties"]["status"], "status"),
        "## Conditions\n",
        table(("type", "True means"), ((f"`{name}`", text) for name, text in MEANING.items())),
        "Reasons: " + ", ".join(f"`{reason}`" for reason in Reason) + ".\n",
        "## Columns of `kubectl get dlagents`\n",
        table(("column", "shows", "with"), _columns()),
    ]
    return "\n".join(parts)


def _columns() -> Iterator[tuple[str, str, str]]:
    for name, _type, path, priority in COLUMNS:
        yield name, f"`{path}`", "`-o wide`" if priority else "always"


def _fields(schema: Json, path: str) -> str:
    rows = ((f"`{name}`", kind, text) for name, kind, text in _walk(schema, path))
    return table(("field", "type", "what it is"), rows)


def _walk(schema: Json, path: str) -> Iterator[tuple[str, str, str]]:
    for rule in schema.get("x-kubernetes-validations", []):
        field = rule.get("fieldPath", "").lstrip(".")
        yield path, "rule", f"`{field}`: {rule['message']}." if field else f"{rule['message']}."
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        inside = f"{path}.{name}"
        yield inside, _kind(field), _describe(field, name in required)
        yield from _walk(field, inside)
        if "items" in field:
            yield from _walk(field["items"], f"{inside}[]")


def _kind(field: Json) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "string or integer"
    if field["type"] == "array":
        return f"list of {_kind(field['items'])}"
    if "additionalProperties" in field:
        return f"map to {_kind(field['additionalProperties'])}"
    return str(field["type"])


def _describe(field: Json, required: bool) -> str:
    sentences = [field.get("description", "")]
    if required:
        sentences.append("**Required.**")
    if "enum" in field:
        sentences.append("One of " + ", ".join(f"`{value}`" for value in field["enum"]) + ".")
    if "minimum" in field and "maximum" in field:
        sentences.append(f"From {field['minimum']} to {field['maximum']}.")
    if "default" in field:
        sentences.append(f"Default: `{json.dumps(field['default'])}`.")
    return " ".join(filter(None, sentences))


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [_row(header), _row(tuple("---" for _ in header)), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
