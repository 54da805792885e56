from typing import Any

import pytest

from tests.unit.core.pipeline_files import SECTIONS, faults_of, faults_of_sections, parse, with_key

BLOCK = {"numeric": {"columns": ["income", "age"]}, "categorical": {"columns": ["city"]}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"target": "applied_at"}, "target: is the cursor"),
        ({"target": "loan_id"}, "target: is part of source.key"),
        ({"features": {"numeric": {"columns": ["a", "defaulted"]}}}, "features.numeric.columns[1]: defaulted is the"),
        ({"features": {"passthrough": {"columns": ["applied_at"]}}}, "features.passthrough.columns[0]: applied_at is"),
        (
            {"features": {**BLOCK, "passthrough": {"columns": ["x", "age"]}}},
            "features.passthrough.columns[1]: age is in features.numeric too",
        ),
        (
            {"window": {"kind": "rolling", "length": "14d"}, "split": {"holdout": "2w"}},
            "split.holdout: is not shorter than window.length",
        ),
        ({"columns": {"applied_at": {"type": "string"}}}, "columns.applied_at.type: the cursor must be a"),
        ({"columns": {"defaulted": {"type": "date"}}}, "columns.defaulted.type: a target of type date does"),
        (
            {"task": "regression", "columns": {"defaulted": {"type": "bool"}}},
            "columns.defaulted.type: a target of type bool does not fit task: regression",
        ),
        (
            {"task": "regression", "model": {**SECTIONS["model"], "class_weight": "balanced"}},
            "model.class_weight: is for classification; the task is regression",
        ),
        (
            {"model": {**SECTIONS["model"], "class_weight": "balanced", "params": {"class_weight": "balanced"}}},
            "model.params.class_weight: is given as model.class_weight too",
        ),
        (
            {"model": {**SECTIONS["model"], "seed": 1, "params": {"random_state": 2}}},
            "model.params.random_state: is given as model.seed too",
        ),
        (
            {"model": {**SECTIONS["model"], "incremental": True, "sample": {"rows": 5}}},
            "model.sample: fits on a part of the rows, and incremental on all of them: leave one out",
        ),
        ({"columns": {"applied_at": {"sensitive": True}}}, "columns.applied_at.sensitive: the cursor cannot be"),
        ({"columns": {"defaulted": {"sensitive": True}}}, "columns.defaulted.sensitive: the target cannot be"),
        (
            {"columns": {"city": {"sensitive": True}}, "features": BLOCK},
            "features.categorical.columns[0]: city is sensitive, and a model keeps its classes",
        ),
        (
            {
                "columns": {"city": {"sensitive": True, "type": "string"}},
                "features": {"passthrough": {"columns": ["city"]}},
            },
            "features.passthrough.columns[0]: city is sensitive",
        ),
        (
            {
                "columns": {"age": {"sensitive": True}},
                "features": {"numeric": {"columns": ["age"], "scale": "minmax"}},
            },
            "features.numeric.scale: keeps the least and the greatest age, which is sensitive",
        ),
        ({"split": {"kind": "hash", "by": ["a", "defaulted"]}}, "split.by[1]: defaulted is the target"),
        ({"split": {"salt": "pepper"}}, "split.salt: keys a hash; write kind: hash, or leave it out"),
        ({"split": {"stratify": True}}, "split.stratify: is for kind: hash"),
        (
            {"task": "regression", "split": {"kind": "hash", "stratify": True}},
            "split.stratify: is for classes; the task is regression",
        ),
    ],
)
def test_a_fault_between_sections_is_found(changes: dict[str, Any], expected: str) -> None:
    (fault,) = faults_of_sections(SECTIONS | changes)
    assert fault.startswith(expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": {**SECTIONS["source"], "key": ["sensor", "applied_at"]}},
        {"features": BLOCK},
        {"features": {"numeric": {"columns": ["loan_id"]}}},
        {"window": {"kind": "rolling", "length": "15d"}, "split": {"holdout": "14d"}},
        {"split": {"holdout": "14d"}},
        {"split": {"by": ["customer_id"]}},
        {"columns": {"loan_id": {"sensitive": True}, "age": {"sensitive": True}}, "features": BLOCK},
        {"split": {"kind": "hash", "by": ["customer_id"], "salt": "pepper", "stratify": True}},
        {"columns": {"applied_at": {"type": "date"}, "defaulted": {"type": "bool"}}},
        {"task": "regression", "columns": {"defaulted": {"type": "decimal"}}},
        {"model": {**SECTIONS["model"], "params": {"random_state": 2}}},
    ],
    ids=[
        "cursor-in-key",
        "block",
        "key-as-feature",
        "holdout-below-window",
        "expanding",
        "entities-by-time",
        "sensitive",
        "entities-by-hash",
        "types",
        "number",
        "own-state",
    ],
)
def test_what_belongs_together_passes(changes: dict[str, Any]) -> None:
    parse(SECTIONS | changes)


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        ({"type": "integer", "max_length": 3}, "max_length: is for strings; the column's type is integer"),
        ({"type": "float", "pattern": "a"}, "pattern: is for strings; the column's type is float"),
        ({"type": "string", "min": 1}, "min: is for numbers and times; the column's type is string"),
        ({"type": "bool", "max": 1}, "max: is for numbers and times; the column's type is bool"),
        ({"type": "float", "min": "low"}, "min: must be a number"),
        ({"type": "date", "min": 5}, "min: must be a date or time as text"),
        ({"type": "timestamp", "max": "soon"}, "max: must be a date or time, like 2013-01-31"),
        ({"max": "soon"}, "max: must be a date or time, like 2013-01-31"),
        ({"min": 3, "max": 2}, "max: is less than min: no value would pass"),
        ({"min": "2013-01-02", "max": "2013-01-01"}, "max: is less than min: no value would pass"),
        ({"min": "2013-01-01T00:00:00-02:00", "max": "2013-01-01T01:00:00Z"}, "max: is less than min"),
        ({"min": 3, "max": "2013-01-01"}, "max: is of another kind than min"),
        ({"type": "integer", "values": [1, "two"]}, "values: 'two' is no integer"),
        ({"type": "integer", "values": [True]}, "values: 'True' is no integer"),
        ({"type": "string", "values": ["a", 5]}, "values: '5' is no string"),
        ({"type": "bool", "values": [1]}, "values: '1' is no bool"),
        ({"type": "date", "values": ["today"]}, "values: 'today' is no date"),
    ],
    ids=str,
)
def test_a_contract_that_no_row_can_keep_is_refused(contract: dict[str, Any], expected: str) -> None:
    (fault,) = faults_of_sections(with_key("columns.amount", contract))
    assert fault.startswith(f"columns.amount.{expected}")


@pytest.mark.parametrize(
    "contract",
    [
        {"type": "string", "max_length": 0, "pattern": "a+", "values": ["NO", "YES"]},
        {"type": "decimal", "min": -1.5, "max": 10},
        {"type": "integer", "min": 1, "max": 1, "values": [1]},
        {"type": "float", "values": [1, 1.5]},
        {"type": "timestamp", "min": "2013-01-01", "max": "2013-01-01T00:00:00+01:00", "nullable": False},
        {"type": "bool", "values": [True]},
        {"type": "date", "values": ["2013-01-01"]},
        {"max_length": 5, "min": 3},
    ],
    ids=str,
)
def test_a_contract_that_rows_can_keep_passes(contract: dict[str, Any]) -> None:
    if contract.get("max") == "2013-01-01T00:00:00+01:00":
        contract = contract | {"max": "2013-01-01T02:00:00+01:00"}
    parse(with_key("columns.amount", contract))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([{"score": "a", "min": 1}, {"score": "a", "min": 2}], "evaluate.gate[1]: a has a line min already"),
        ([{"score": "a", "min": 2}, {"score": "a", "max": 1}], "evaluate.gate[1]: a cannot be at least 2.0"),
        ([{"score": "a"}], "evaluate.gate[0]: needs exactly one of min, max, min_gain and max_loss"),
        ([{"score": "a", "min": 0, "against": "champion"}], "evaluate.gate[0]: min is a bound of its own"),
        ([{"score": "a", "min_gain": 0, "against": "anchor"}], "evaluate.gate[0].against: must be champion"),
        ([{"score": "a", "max_loss": -0.1}], "evaluate.gate[0].max_loss: must be at least 0"),
        ([{"score": "a", "min_gain": -0.1}], "evaluate.gate[0].min_gain: must be at least 0"),
    ],
    ids=["twice", "crossed", "none", "floor-against", "against", "negative-loss", "negative-gain"],
)
def test_a_gate_that_makes_no_sense_is_refused(lines: list[dict[str, Any]], expected: str) -> None:
    (fault,) = faults_of_sections(with_key("evaluate.gate", lines))
    assert fault.startswith(expected)


def test_a_gate_may_name_the_champion_and_several_lines_of_one_score() -> None:
    lines = [
        {"score": "a", "max_loss": 0.1, "against": "champion"},
        {"score": "a", "min": 0.5},
        {"score": "a", "max": 0.9},
    ]
    assert len(parse(with_key("evaluate.gate", lines)).evaluate.gate) == 3


def test_rules_between_good_sections_are_checked_beside_faults_of_others() -> None:
    faults = faults_of_sections(SECTIONS | {"target": "loan_id", "publish": {"aproval": "auto"}})
    assert sorted(fault.split(":")[0] for fault in faults) == ["publish.aproval", "target"]


def test_a_slice_of_a_sensitive_column_is_a_fault() -> None:
    sections = SECTIONS | {"columns": {"city": {"sensitive": True}}, "evaluate": {"slices": ["region", "city"]}}
    (fault,) = faults_of_sections(sections)
    assert fault.startswith("evaluate.slices[1]: city is sensitive, and reports name a slice by its value")


def test_one_mistake_is_not_reported_twice() -> None:
    text = "target: a\nfeatures: {numeric: {columns: [a], scal: none}}\n"
    assert not any("is the target" in fault for fault in faults_of(text))
