"""The reference and the schema of report.json know what reports hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from dlagent.report import generate
from tests.unit.report import examples

REPOSITORY = Path(__file__).parents[3]


def test_what_lies_in_docs_is_what_the_types_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)

    assert 0 == generate.main(["--check"])


def test_a_check_finds_what_was_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert 0 == generate.main([])
    (tmp_path / "docs/reference/report.md").write_text("edited")

    assert 1 == generate.main(["--check"])

    assert "docs/reference/report.md is not what the types" in capsys.readouterr().err


def test_every_field_is_described() -> None:
    schema = generate.report_schema()
    for name, definition in {"Report": schema, **schema["$defs"]}.items():
        if name == "TauPoint":
            continue  # its own text names both fields
        for field, found in definition.get("properties", {}).items():
            assert found.get("description"), f"{name}.{field}"


def test_the_schema_knows_every_field_that_is_written() -> None:
    schema = generate.report_schema()

    def check(value: Any, node: Any) -> None:
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].removeprefix("#/$defs/")]
        if "anyOf" in node:
            node = next(each for each in node["anyOf"] if each != {"type": "null"})
            check(value, node)
        elif isinstance(value, list):
            for each in value:
                check(each, node["items"])
        elif isinstance(value, dict) and "properties" in node:
            assert set(value) <= set(node["properties"])
            assert set(node["required"]) <= set(value)
            for name, each in value.items():
                check(each, node["properties"][name])

    check(json.loads(examples.report().to_json()), schema)
