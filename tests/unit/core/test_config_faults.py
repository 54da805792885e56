from typing import Any

import pytest

from refit.core.config import parse_pipeline
from refit.core.config_faults import InvalidFile
from tests.unit.core.pipeline_files import LEAST, SECTIONS, faults_of, faults_of_sections, with_key

FAULTY = """\
apiVersion: refit/v2
name: Loans!
sorce: {query: x}
source:
  query: 5
  key: loan_id
  cursur: applied_at
  overlap: 5
  dsn: postgresql://me:hunter2@db/loans
  shards: 2
  lag: 1m
  lag: 2m
window: {kind: rolling}
columns:
  a: {typo: string, type: txt, nullable: no}
  b: {type: float, min: 5, max: 1}
target: defaulted
task: binary
split: {kind: tim, holdout: 3}
features: {numeric: {columns: [a, b]}, categorical: {columns: [b], encode: one-hot}}
model: {estimator: LogisticRegression, params: }
evaluate: {gate: [{score: x, min: 1, max: 1}, {min: 5}]}
schedule: {cron: "0 25 * * 1", timezone: Europe/Berlim}
slo: {max_age: 10}
"""


def test_every_fault_is_reported_at_once_in_the_order_of_the_file() -> None:
    assert faults_of(FAULTY) == [
        "1:13: apiVersion: must be refit/v1, not 'refit/v2'",
        "2:7: name: must be a DNS label: lower-case letters, digits and inner hyphens",
        "3:1: sorce: unknown key; did you mean source?",
        "4:1: source.cursor: is missing",
        "5:10: source.query: must be text, not the number 5",
        "6:8: source.key: must be a list: [loan_id]",
        "7:3: source.cursur: unknown key; did you mean cursor?",
        "8:12: source.overlap: must be a duration: an integer and s, m, h, d or w, like 30m or 56d",
        "9:3: source.dsn: unknown key; the connection string comes from REFIT_SOURCE_DSN, never from this file",
        "10:11: source.shards: shards is not built yet; leave it out",
        "12:3: source.lag: is given twice; the first is in line 11",
        "13:9: window: a rolling window needs length, like {kind: rolling, length: 56d}",
        "15:7: columns.a.typo: unknown key; did you mean type?",
        "15:27: columns.a.type: must be string, integer, float, decimal, bool, timestamp or date, not 'txt'",
        "15:42: columns.a.nullable: must be true or false, not 'no'",
        "16:33: columns.b.max: is less than min: no value would pass",
        "19:15: split.kind: must be time or hash, not 'tim'; did you mean time?",
        "19:29: split.holdout: must be a fraction between 0 and 1, like 0.2, or a duration, like 14d",
        "20:76: features.categorical.encode: must be onehot, ordinal or none, not 'one-hot'; did you mean onehot?",
        "21:20: model.estimator: must be a class by its full name, like sklearn.linear_model.LogisticRegression, "
        "or a function of your own, like package.module:function",
        "21:47: model.params: has no value; write one or leave the key out",
        "22:19: evaluate.gate[0]: needs exactly one of min, max, min_gain and max_loss",
        "22:47: evaluate.gate[1].score: is missing",
        "23:18: schedule.cron: hour: '25' is not between 0 and 23",
        "23:42: schedule.timezone: is no time zone of the IANA database, like Europe/Berlin",
        "24:16: slo.max_age: must be a duration: an integer and s, m, h, d or w, like 30m or 56d",
    ]


def test_the_error_holds_every_fault_as_file_line_column() -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_pipeline("name: 5\n", "dir/my.yaml")
    error = caught.value
    assert error.exit_code == 64
    assert error.lines[0] == "dir/my.yaml:1:1: apiVersion: is missing"
    assert error.lines[-1] == "dir/my.yaml:1:7: name: must be text, not the number 5"
    assert error.message == "\n".join(["dir/my.yaml has 6 faults", *error.lines])
    assert error.next == "refit check dir/my.yaml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: the file is empty"),
        ("# nothing\n", "1:1: the file is empty"),
        ("null", "1:1: the file is empty"),
        ("- a\n", "1:1: the file must be a mapping of keys to values, beginning with apiVersion: refit/v1"),
        ("just text", "1:1: the file must be a mapping of keys to values, beginning with apiVersion: refit/v1"),
        ("5", "1:1: the file must be a mapping of keys to values, beginning with apiVersion: refit/v1"),
        (b"\xff\xfe", "1:1: the file is not valid UTF-8 here"),
    ],
)
def test_a_file_that_is_no_mapping_has_one_fault(text: str | bytes, expected: str) -> None:
    assert faults_of(text) == [expected]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("modle", {}, "modle: unknown key; did you mean model?"),
        ("source.Query", "x", "source.Query: unknown key; did you mean query?"),
        (
            "source.password",
            "hunter2",
            "source.password: unknown key; the connection string comes from REFIT_SOURCE_DSN",
        ),
        ("publish.zzz", 1, "publish.zzz: unknown key; known here: approval, fit_on"),
        ("split.holdot", 1, "split.holdot: unknown key; did you mean holdout?"),
        ("features.numerical", {}, "features.numerical: unknown key; did you mean numeric?"),
        ("columns.a.maxlength", 3, "columns.a.maxlength: unknown key; did you mean max_length?"),
        (
            "evaluate.gate",
            [{"score": "x", "mingain": 0}],
            "evaluate.gate[0].mingain: unknown key; did you mean min_gain?",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_an_unknown_key_is_told_what_was_probably_meant(path: str, value: Any, expected: str) -> None:
    assert any(fault.startswith(expected) for fault in faults_of_sections(with_key(path, value)))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("name", "a" * 29, "has 29 characters; a name has at most 28"),
        ("name", "-a", "must be a DNS label: lower-case letters, digits and inner hyphens"),
        ("name", "a\n", "must be a DNS label: lower-case letters, digits and inner hyphens"),
        ("name", True, "must be text, not true"),
        ("source", "SELECT 1", "must be a mapping of keys to values, not 'SELECT 1'"),
        ("source", [], "must be a mapping of keys to values, not a list"),
        ("source.query", " \n", "must not be empty"),
        ("source.query", None, "has no value; write one or leave the key out"),
        ("source.query", {"a": 1}, "must be text, not a mapping"),
        ("source.kind", "mysql://root:hunter2@host", "must be postgres, not this text"),
        ("source.key", [], "must not be empty"),
        ("source.key", ["a", "a"], "names a twice"),
        ("source.cursor", "x" * 64, "is longer than 63 bytes, the most that PostgreSQL keeps of a name"),
        ("source.overlap", "30", "must be a duration: an integer and s, m, h, d or w, like 30m or 56d"),
        ("source.overlap", "1h30m", "must be a duration: an integer and s, m, h, d or w, like 30m or 56d"),
        ("source.overlap", "30m\n", "must be a duration: an integer and s, m, h, d or w, like 30m or 56d"),
        ("source.overlap", "-1d", "must be a duration: an integer and s, m, h, d or w, like 30m or 56d"),
        ("source.overlap", "١d", "must be a duration: an integer and s, m, h, d or w, like 30m or 56d"),
        ("source.overlap", "36501d", "is longer than 36500d"),
        ("source.overlap", "9" * 5000 + "d", "is longer than 36500d"),
        ("source.overlap", "99999999999w", "is longer than 36500d"),
        ("source.statement_timeout", "0s", "must be longer than 0s"),
        ("source.statement_timeout", "25d", "is longer than 24d, the most that PostgreSQL takes"),
        (
            "source.full_refresh",
            "always",
            "must be a duration: an integer and s, m, h, d or w, like 30m or 56d; or never",
        ),
        ("source.min_new_rows", -1, "must be at least 0"),
        ("source.min_new_rows", 1000.0, "must be an integer, not the number 1000.0"),
        ("source.min_new_rows", "5", "must be an integer, not '5'"),
        ("source.min_new_rows", True, "must be an integer, not true"),
        ("source.max_row_bytes", 0, "must be greater than 0"),
        ("window", {"length": "5d"}, "length is for kind: rolling; an expanding window has none"),
        ("window.kind", "expandin", "must be expanding or rolling, not 'expandin'; did you mean expanding?"),
        ("columns.a", {"pattern": "("}, "is no regular expression: missing ), unterminated subpattern at position 0"),
        ("columns.a", {"max_length": -1}, "must be at least 0"),
        ("columns.a", {"min": True}, "must be a number, or a date or time as text"),
        ("columns.a", {"min": [1]}, "must be a number, or a date or time as text"),
        ("columns.a", {"values": []}, "must not be empty"),
        ("columns.a", {"values": [None]}, "must be a text, a number or a bool"),
        ("columns.a", {"values": "yes"}, "must be a list: [yes]"),
        ("columns.a", None, "has no value; write one or leave the key out"),
        ("columns", [], "must be a mapping of keys to values, not a list"),
        ("on_bad_row.max_fraction", 1.5, "must be at most 1"),
        ("on_bad_row.action", "drop", "must be quarantine or fail, not 'drop'"),
        ("target", ["late"], "must be text, not a list"),
        ("task", "binery", "must be binary, multiclass or regression, not 'binery'; did you mean binary?"),
        ("split.holdout", 1.0, "must be a fraction between 0 and 1, like 0.2, or a duration, like 14d"),
        ("split.holdout", "0d", "must be longer than 0s; or a fraction of the window between 0 and 1"),
        ("split", {"kind": "hash", "holdout": "14d"}, "must be a fraction between 0 and 1, like 0.2"),
        ("split", "time", "must be a mapping of keys to values, not 'time'"),
        ("features", "automatic", "must be auto or a mapping of numeric, categorical and passthrough"),
        ("features", {}, "names no column; write numeric, categorical or passthrough, or features: auto"),
        ("features", 5, "must be a mapping of keys to values, not the number 5"),
        ("model.params", ["a"], "must be a mapping of keys to values, not a list"),
        ("model.seed", 2**32, "must be less than 4294967296"),
        ("model.class_weight", "heavy", "must be balanced or a mapping of class to weight, like {0: 1, 1: 5}"),
        ("model.class_weight", {"a": -1}, "the weight of class a must be a number from 0 on"),
        ("model.class_weight", {}, "must be balanced or a mapping of class to weight, like {0: 1, 1: 5}"),
        ("evaluate.gate", [], "must not be empty"),
        ("evaluate.gate", {"score": "x", "min": 1}, "must be a list, not a mapping"),
        ("evaluate.scores", ["a", "a"], "names a twice"),
        ("evaluate.confidence", 1.0, "must be less than 1"),
        ("evaluate.confidence", 0.4, "must be at least 0.5"),
        ("evaluate.false_promotions_per_year", 0, "must be greater than 0"),
        ("evaluate.max_shift", "all", "must be a number between 0 and 1, like 0.10, or none"),
        ("publish.approval", "manuel", "must be auto or manual, not 'manuel'; did you mean manual?"),
        ("schedule.cron", "weekly", "has 1 fields instead of 5: minute, hour, day, month, day of the week"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_wrong_value_is_told_what_it_must_be(path: str, value: Any, expected: str) -> None:
    faults = faults_of_sections(with_key(path, value))
    assert any(fault.startswith(path) and expected in fault for fault in faults), faults


def test_no_message_shows_what_may_be_a_credential() -> None:
    secret = "postgresql://me:hunter2@db/loans"
    for path in ("source.dsn", "source.kind", "source.key", "task", "split", "features", "schedule", "source"):
        assert not any("hunter2" in fault for fault in faults_of_sections(with_key(path, secret)))


def test_keys_that_are_no_text_are_refused() -> None:
    faults = faults_of(LEAST + "5: a\nnull: b\ntrue: c\n")
    assert [fault.split(": ", 2)[2] for fault in faults] == ["a key must be text; quote it"] * 3


@pytest.mark.parametrize("key", ["apiVersion", "name", "source", "target", "task", "model"])
def test_a_key_without_default_is_missed(key: str) -> None:
    sections = {name: value for name, value in SECTIONS.items() if name != key}
    assert f"{key}: is missing" in faults_of_sections(sections)


def test_a_file_with_thousands_of_faults_reports_the_first_two_hundred() -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_pipeline("".join(f"key{number}: 1\n" for number in range(5000)), "refit.yaml")
    assert len(caught.value.faults) == 200
    assert caught.value.lines[-1] == "refit.yaml: and more"
    assert caught.value.message.startswith("refit.yaml has more than 200 faults\n")


def test_a_fault_is_one_line_whatever_the_key() -> None:
    (fault,) = faults_of(LEAST + '"a\\nb\\e": 1\n')
    assert fault.startswith("7:1: a\\nb\\x1b: unknown key")
