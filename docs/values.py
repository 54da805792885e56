"""Writes docs/values.md, the reference of the chart's values, from values.schema.json and values.yaml.

python docs/values.py            writes it
python docs/values.py --check    fails when it is stale
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).parents[1] / "helm" / "refit"
PAGE: Final = Path(__file__).with_name("values.md")
_SCHEMA: Final = json.loads((CHART / "values.schema.json").read_text())
_VALUES: Final = yaml.safe_load((CHART / "values.yaml").read_text())
_HEAD: Final = """\
# The chart's values, one by one

Written by `python docs/values.py` from the chart's values.schema.json and values.yaml. The values of `steps.train`
stand for those of the other three steps; where their defaults differ, values.yaml has them.

| value | takes | default | what it does |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(_rows(_SCHEMA, _VALUES, ""))


def _rows(schema: dict[str, Any], values: Any, path: str) -> Iterator[str]:
    for name, part in schema["properties"].items():
        if name == "global" or (path == "steps." and name != "train"):
            continue
        inner, value = _resolved(part), values[name]
        if "properties" in inner and inner.get("additionalProperties") is False and "resources" not in name:
            yield from _rows(inner, value, f"{path}{name}.")
            continue
        kind = " or ".join(f"`{choice}`" for choice in inner["enum"]) if "enum" in inner else inner["type"]
        default = f"`{json.dumps(value)}`" if value not in ("", None) else "–"
        yield "| " + " | ".join((f"`{path}{name}`", kind, default, _prose(inner["description"]))) + " |\n"


def _prose(text: str) -> str:
    """The text as a cell of a table shows it."""
    return text.replace("|", "\\|").replace("<", "\\<")


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    for part in schema.get("allOf", []):
        found = _SCHEMA["definitions"][part["$ref"].rpartition("/")[2]]
        schema = {**found, "description": schema.get("description", found.get("description"))}
    return schema


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if PAGE.read_text() == page() else f"{PAGE.name} is stale: run python docs/values.py")
    PAGE.write_text(page())
