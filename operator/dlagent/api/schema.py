"""Turns pydantic's JSON schema into the structural schema that Kubernetes asks for.

pydantic writes `$ref`, unions with null, titles and defaults of whole objects; a CRD may have none
of these. What is not bounded is refused here, at generation, rather than by the apiserver's cost
estimate with a message that names no field.
"""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

Json = dict[str, Any]

_INT32 = 2**31 - 1
_KEPT = {
    *("description", "enum", "format", "pattern", "required"),
    *("minLength", "maxLength", "minimum", "maximum"),
    *("minItems", "maxItems", "minProperties", "maxProperties"),
}


class UnboundedError(ValueError):
    """A field that could be arbitrarily large; the message has its path."""


def structural_schema(model: type[BaseModel], path: str) -> Json:
    """The structural schema of a model; `path` is where it stands, for messages.

    Raises:
        UnboundedError: a string, list, map or number has no bound.
    """
    whole = model.model_json_schema(by_alias=True, mode="validation")
    return _Converter(whole.get("$defs", {})).convert(whole, path)


class _Converter:
    def __init__(self, definitions: Json) -> None:
        self._definitions = definitions

    def convert(self, node: Json, path: str) -> Json:
        node = self._resolve(node)
        result = {name: value for name, value in node.items() if _is_kept(name)}
        if isinstance(result.get("description"), str):
            result["description"] = " ".join(result["description"].split())
        default = node.get("default")
        if isinstance(default, str | int | bool):
            result["default"] = default
        if node.get("x-kubernetes-int-or-string"):
            return _int_or_string(result, node, path)
        result["type"] = node["type"]
        by_type: dict[str, Callable[[Json, Json, str], None]] = {
            "object": self._object,
            "array": self._array,
            "string": _string,
            "integer": _integer,
        }
        if node["type"] in by_type:
            by_type[node["type"]](result, node, path)
        return result

    def _resolve(self, node: Json) -> Json:
        """The node without `$ref` and without null; what stands beside a reference wins."""
        if "$ref" in node:
            target = self._definitions[node["$ref"].removeprefix("#/$defs/")]
            return self._resolve({**target, **_without(node, "$ref")})
        if "anyOf" in node:
            options = [option for option in node["anyOf"] if option.get("type") != "null"]
            if len(options) == 1:
                return self._resolve({**self._resolve(options[0]), **_without(node, "anyOf")})
        return node

    def _object(self, result: Json, node: Json, path: str) -> None:
        if "properties" in node:
            result["properties"] = {
                name: self.convert(value, f"{path}.{name}")
                for name, value in node["properties"].items()
            }
        elif "additionalProperties" in node:
            _require(node, path, "maxProperties")
            result["additionalProperties"] = self.convert(node["additionalProperties"], f"{path}.*")

    def _array(self, result: Json, node: Json, path: str) -> None:
        _require(node, path, "maxItems")
        result.setdefault("x-kubernetes-list-type", "atomic")
        result["items"] = self.convert(node["items"], f"{path}[]")


def _string(_result: Json, node: Json, path: str) -> None:
    if "enum" not in node:
        _require(node, path, "maxLength")


def _integer(result: Json, node: Json, path: str) -> None:
    _require(node, path, "minimum", "maximum")
    fits = node["maximum"] <= _INT32 and node["minimum"] >= -_INT32
    result["format"] = "int32" if fits else "int64"


def _int_or_string(result: Json, node: Json, path: str) -> Json:
    """A whole number, or text whose pattern and bound stand in the union's string option."""
    text: Json = next((o for o in node.get("anyOf", []) if o.get("type") == "string"), node)
    _require(text, path, "maxLength", "pattern")
    return {**result, "maxLength": text["maxLength"], "pattern": text["pattern"]}


def _is_kept(name: str) -> bool:
    return name in _KEPT or name.startswith("x-kubernetes-")


def _without(node: Json, name: str) -> Json:
    return {key: value for key, value in node.items() if key != name}


def _require(node: Json, path: str, *names: str) -> None:
    for name in names:
        if name not in node:
            raise UnboundedError(f"{path}: no {name}")
