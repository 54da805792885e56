"""Whatever a file holds, it is a Pipeline or a ConfigError, with faults that can be printed."""

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from refit.core.config import Pipeline, parse_pipeline
from refit.core.config_faults import InvalidFile
from refit.core.config_schema import reference, schema
from refit.core.yaml_file import read_yaml
from tests.fixtures.fuzz import examples
from tests.unit.core.pipeline_files import DEMO, SECTIONS, TEXTBOOK

VALIDATOR = Draft202012Validator(schema())
BOUNDED = settings(
    max_examples=examples(300, 2500),
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)

KEYS = sorted({part for row in reference() for part in re.split(r"[.\[\]*]+", row.key) if part})
WORDS = st.sampled_from(
    [*KEYS, "refit/v1", "loans", "rolling", "auto", "hash", "a.B", "none", "never", "30d", "<<", "*x"]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), WORDS, st.text(max_size=20))
NAMES = WORDS | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def outcome(text: bytes | str) -> Pipeline | InvalidFile:
    try:
        return parse_pipeline(text, "refit.yaml")
    except InvalidFile as error:
        found = error
    assert found.faults
    assert all(line.isprintable() for line in found.lines)
    return found


@BOUNDED
@given(st.binary(max_size=300))
def test_any_bytes_are_a_pipeline_or_faults(text: bytes) -> None:
    outcome(text)


@BOUNDED
@given(st.text(alphabet="ab:-[]{}?!&*|>'\"%@`#,\n\t \\x0U.5~<=é☃", max_size=120))
def test_any_text_in_the_signs_of_yaml_is_a_pipeline_or_faults(text: str) -> None:
    outcome(text)


@BOUNDED
@given(st.dictionaries(WORDS, VALUES, max_size=8))
def test_any_structure_is_a_pipeline_or_faults(sections: dict[str, Any]) -> None:
    outcome(json.dumps(SECTIONS | sections))


@BOUNDED
@given(st.sampled_from([TEXTBOOK, DEMO]), st.integers(0, 2000), st.integers(0, 30), st.binary(max_size=8))
def test_any_damage_to_a_good_file_is_a_pipeline_or_faults(text: str, at: int, cut: int, put: bytes) -> None:
    whole = text.encode()
    outcome(whole[: at % len(whole)] + put + whole[at % len(whole) + cut :])


@pytest.mark.parametrize("section", sorted(set(Pipeline.model_fields) - {"api_version"}))
@settings(BOUNDED, max_examples=25)
@given(value=VALUES)
def test_the_schema_refuses_only_what_does_not_parse(section: str, value: Any) -> None:
    sections = SECTIONS | {section: value}
    if isinstance(outcome(json.dumps(sections)), Pipeline):
        assert VALIDATOR.is_valid(read_yaml(json.dumps(sections)).value)
