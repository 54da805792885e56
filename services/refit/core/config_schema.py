"""The JSON schema of the pipeline file, for editors and the chart, and the reference of its keys.

The schema knows the shape of single keys; `parse_pipeline` knows more (rules across keys, columns, names of zones).
A file that the schema refuses is refused by `parse_pipeline` too.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, NamedTuple

from pydantic.json_schema import GenerateJsonSchema

from refit.core.config import Pipeline
from refit.core.config_types import duration_text

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _AsWritten(GenerateJsonSchema):
    """Defaults as a file writes them."""

    def encode_default(self, dft: Any) -> Any:
        return duration_text(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def schema() -> dict[str, Any]:
    """The schema of the file as users write it, in JSON Schema 2020-12."""
    written = Pipeline.model_json_schema(schema_generator=_AsWritten)
    tidy: dict[str, Any] = _tidy(written)
    return {"$schema": DIALECT, "title": "refit pipeline", **tidy}


def _tidy(value: Any, *, names: bool = False) -> Any:
    """The schema less pydantic's titles, and less defaults that only repeat those of the keys below."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    if names:  # the keys are the file's own
        return {key: _tidy(item) for key, item in value.items()}
    noise = {"title"} | ({"default"} if value.get("default", 0) in (None, [], {}) or _is_section(value) else set())
    return {
        key: item if key == "default" else _tidy(item, names=key in ("properties", "$defs"))
        for key, item in value.items()
        if key not in noise
    }


def _is_section(value: dict[str, Any]) -> bool:
    return isinstance(value.get("default"), dict)


class Reference(NamedTuple):
    """One key of the file: its path (`*` for a name of one's own, `[]` for an item), and what it takes."""

    key: str
    kind: str
    default: str
    description: str


def reference() -> Iterator[Reference]:
    """Every key that holds a value, in the file's order."""
    written = schema()
    yield from _keys(written, "", written["$defs"])


def _keys(node: dict[str, Any], path: str, definitions: dict[str, Any]) -> Iterator[Reference]:
    for name, below in node.get("properties", {}).items():
        key = f"{path}.{name}" if path else name
        sections = list(_sections(below, definitions))
        holds = below
        if "additionalProperties" in below and isinstance(below["additionalProperties"], dict):
            holds = below["additionalProperties"]
            sections, key = list(_sections(holds, definitions)), f"{key}.*"
        elif "items" in below:
            sections = list(_sections(below["items"], definitions))
            key += "[]" if sections else ""
        for section in sections:
            yield from _keys(section, key, definitions)
        if kind := "" if sections and "oneOf" not in holds else _kind(holds):
            default = below.get("default")
            shown = "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
            yield Reference(key, kind, shown, below.get("description", "").replace("\n", " "))


def _sections(node: dict[str, Any], definitions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in node:
        yield definitions[node["$ref"].rsplit("/", 1)[1]]
    for choice in [*node.get("anyOf", []), *node.get("oneOf", [])]:
        yield from _sections(choice, definitions)


def _kind(node: dict[str, Any]) -> str:
    if "enum" in node:
        return ", ".join(node["enum"])
    if "const" in node:
        return str(node["const"])
    if choices := [*node.get("anyOf", []), *node.get("oneOf", [])]:
        kinds = (_kind(choice) for choice in choices if choice.get("type") != "null" and "$ref" not in choice)
        return " or ".join(dict.fromkeys(kinds))
    if node.get("pattern") == "^[0-9]+[smhdw]$":
        return "duration"
    names = {"string": "text", "boolean": "bool", "object": "mapping", "array": "list", "null": "nothing"}
    types = node.get("type", [])
    return " or ".join(names.get(kind, kind) for kind in ([types] if isinstance(types, str) else types))
