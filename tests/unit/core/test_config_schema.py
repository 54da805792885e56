import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from refit.core.config import parse_pipeline
from refit.core.config_faults import InvalidFile
from refit.core.config_schema import reference, schema
from refit.core.yaml_file import read_yaml
from tests.unit.core.pipeline_files import DEMO, LEAST, SECTIONS, TEXTBOOK, with_key

VALIDATOR = Draft202012Validator(schema())


def allows(sections: Any) -> bool:
    return bool(VALIDATOR.is_valid(sections))


def parses(sections: Any) -> bool:
    try:
        parse_pipeline(json.dumps(sections), "refit.yaml")
    except InvalidFile:
        return False
    return True


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    json.dumps(schema(), allow_nan=False)


@pytest.mark.parametrize("text", [LEAST, TEXTBOOK, DEMO], ids=["least", "textbook", "demo"])
def test_the_documented_files_are_allowed(text: str) -> None:
    assert allows(read_yaml(text).value)


GOOD: list[tuple[str, Any]] = [
    ("source.overlap", "2h"),
    ("source.full_refresh", "never"),
    ("split", {"kind": "hash", "holdout": 0.3}),
    ("split", {"holdout": "14d"}),
    ("window", {"kind": "rolling", "length": "56d"}),
    ("features", "auto"),
    ("features", {"passthrough": {"columns": ["a"]}}),
    ("columns.a", {"type": "float", "min": 0, "max": 1.5}),
    ("columns.a", {"min": "2013-01-01", "values": ["2013-01-01"]}),
    ("model.class_weight", "balanced"),
    ("model.class_weight", {"a": 1}),
    ("evaluate.gate", [{"score": "x", "max_loss": 0.1, "against": "champion"}]),
    ("evaluate.max_shift", "none"),
    ("schedule", None),
]


@pytest.mark.parametrize(("path", "value"), GOOD, ids=str)
def test_what_parses_is_allowed(path: str, value: Any) -> None:
    assert parses(with_key(path, value))
    assert allows(with_key(path, value))


BAD: list[tuple[str, Any]] = [
    ("extra", 1),
    ("apiVersion", "refit/v2"),
    ("name", "Loans"),
    ("name", "a" * 29),
    ("source.overlap", 5),
    ("source.overlap", "5"),
    ("source.overlp", "5d"),
    ("source.key", "loan_id"),
    ("source.key", []),
    ("source.key", ["a", "a"]),
    ("source.min_new_rows", -1),
    ("source.min_new_rows", "5"),
    ("source.kind", "mysql"),
    ("window", {"kind": "rolling"}),
    ("window", {"length": "5d"}),
    ("columns.a", {"typ": "float"}),
    ("columns.a", {"nullable": "no"}),
    ("split", {"kind": "hash", "holdout": "14d"}),
    ("split.holdout", 1),
    ("features", "automatic"),
    ("features", {}),
    ("features", {"numeric": {"columns": ["a"], "scale": "max"}}),
    ("model.estimator", "LogisticRegression"),
    ("model.class_weight", "heavy"),
    ("model.params", []),
    ("evaluate.gate", []),
    ("evaluate.gate", [{"score": "x"}]),
    ("evaluate.gate", [{"score": "x", "min": 1, "max": 2}]),
    ("evaluate.max_shift", 2),
    ("publish.approval", "yes"),
    ("schedule", {"timezone": "Etc/UTC"}),
]


@pytest.mark.parametrize(("path", "value"), BAD, ids=str)
def test_what_is_not_allowed_does_not_parse(path: str, value: Any) -> None:
    assert not allows(with_key(path, value))
    assert not parses(with_key(path, value))


@pytest.mark.parametrize("key", ["apiVersion", "name", "source", "target", "task", "model"])
def test_a_key_without_default_is_required(key: str) -> None:
    assert not allows({name: value for name, value in SECTIONS.items() if name != key})


def test_durations_stand_in_it_as_a_file_writes_them() -> None:
    source = schema()["$defs"]["Source"]["properties"]
    assert (source["overlap"]["default"], source["statement_timeout"]["default"]) == ("0s", "30m")
    assert source["full_refresh"]["default"] == "30d"


def test_every_key_has_a_kind_and_a_description() -> None:
    rows = list(reference())
    assert [row.key for row in rows if not row.description or not row.kind] == []
    assert {"source.overlap", "columns.*.type", "evaluate.gate[].min_gain", "features", "schedule.cron"} <= {
        row.key for row in rows
    }


def test_the_defaults_of_the_reference_are_those_of_the_file() -> None:
    """Each default, written out, is read as the same pipeline."""
    plain = parse_pipeline(LEAST, "refit.yaml")
    for row in reference():
        if row.default and "*" not in row.key and "[]" not in row.key and not row.key.startswith(("features", "split")):
            # parts that say nothing where they are not there
            if row.key.startswith(("schedule", "model.incremental.", "model.search")):
                continue
            assert parse_pipeline(json.dumps(with_key(row.key, yaml.safe_load(row.default))), "f") == plain, row.key
