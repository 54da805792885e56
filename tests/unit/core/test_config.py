from datetime import timedelta
from typing import Any

import pytest

from refit.core.config import Batches, GateLine, Pipeline, evaluation, parse_pipeline, source_digest
from refit.core.config_sections import AutoFeatures, FeatureBlock, HashSplit, TimeSplit
from tests.unit.core.pipeline_files import DEMO, LEAST, SECTIONS, TEXTBOOK, faults_of_sections, parse, with_key


def gate(pipeline: Pipeline) -> list[tuple[str, str, float]]:
    return [(line.score, line.line, line.limit) for line in pipeline.evaluate.gate]


def test_the_least_file_has_the_documented_defaults() -> None:
    pipeline = parse_pipeline(LEAST, "refit.yaml")
    source = pipeline.source
    assert (source.kind, source.query, source.key, source.cursor) == (
        "postgres",
        "SELECT * FROM loans",
        ("loan_id",),
        "applied_at",
    )
    assert (source.overlap, source.lag, source.min_new_rows) == (timedelta(0), timedelta(0), 1)
    assert (source.full_refresh, source.statement_timeout) == (timedelta(days=30), timedelta(minutes=30))
    assert (source.max_row_bytes, source.shards, source.low_volume) == (1_000_000, 1, "warn")
    assert pipeline.schedule is None
    assert (pipeline.window.kind, pipeline.window.length) == ("expanding", None)
    assert pipeline.columns == {}
    assert (pipeline.on_bad_row.action, pipeline.on_bad_row.max_fraction) == ("quarantine", 0.01)
    assert pipeline.split == TimeSplit(kind="time", holdout=0.25)
    assert pipeline.features == AutoFeatures()
    assert (pipeline.model.params, pipeline.model.class_weight, pipeline.model.seed) == ({}, None, 0)
    assert gate(pipeline) == [("neg_log_loss", "min_gain", 0.0)]
    evaluate = pipeline.evaluate
    assert evaluate.scores == ("neg_log_loss", "roc_auc")
    assert (evaluate.false_promotions_per_year, evaluate.confidence, evaluate.block) == (1.0, 0.95, "day")
    assert (evaluate.min_clean_rows, evaluate.max_shift) == (200, 0.10)
    assert (pipeline.publish.approval, pipeline.publish.fit_on) == ("auto", "evaluated")


def test_the_textbook_file_parses() -> None:
    pipeline = parse_pipeline(TEXTBOOK, "refit.yaml")
    assert pipeline.schedule is not None
    assert (pipeline.schedule.cron, pipeline.schedule.timezone) == ("0 5 * * 1", "Etc/UTC")
    assert pipeline.model.class_weight == "balanced"
    assert pipeline.split.holdout == 0.2
    assert gate(pipeline) == [("roc_auc", "min_gain", 0.0)]
    assert pipeline.evaluate.scores == ("roc_auc",)


def test_the_demo_file_parses() -> None:
    pipeline = parse_pipeline(DEMO.encode(), "refit.yaml")
    assert pipeline.source.query.endswith("late FROM flights\n")
    assert (pipeline.source.overlap, pipeline.source.lag) == (timedelta(hours=2), timedelta(minutes=5))
    assert pipeline.window.length == timedelta(days=56)
    assert pipeline.split.holdout == timedelta(days=14)
    assert (pipeline.columns["carrier"].type, pipeline.columns["carrier"].max_length) == ("string", 8)
    assert not pipeline.columns["late"].nullable
    assert isinstance(pipeline.features, FeatureBlock)
    assert pipeline.features.blocks() == {
        "numeric": ("distance", "temp", "wind_speed"),
        "categorical": ("carrier", "origin", "dest"),
        "passthrough": ("dep_hour",),
    }
    assert gate(pipeline) == [("roc_auc", "min", 0.6), ("neg_log_loss", "min_gain", 0.0)]


def test_a_pipeline_is_frozen() -> None:
    pipeline = parse_pipeline(LEAST, "refit.yaml")
    with pytest.raises(ValueError, match="frozen"):
        pipeline.source.cursor = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("source.overlap", "90s", timedelta(seconds=90)),
        ("source.lag", "0s", timedelta(0)),
        ("source.statement_timeout", "2h", timedelta(hours=2)),
        ("source.full_refresh", "never", None),
        ("source.full_refresh", "7d", timedelta(days=7)),
        ("source.low_volume", "fail", "fail"),
        ("source.key", ["a", "b"], ("a", "b")),
        ("source.min_new_rows", 0, 0),
        ("window", {"kind": "rolling", "length": "8w"}, timedelta(weeks=8)),
        ("on_bad_row.max_fraction", 0, 0.0),
        ("model.class_weight", "none", None),
        ("model.class_weight", {"good": 1, "bad": 2.5}, {"good": 1.0, "bad": 2.5}),
        ("model.params", {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        ("evaluate.max_shift", "none", None),
        ("evaluate.max_shift", 0.3, 0.3),
        ("split.holdout", "14d", timedelta(days=14)),
        ("split", {"kind": "hash"}, 0.2),
        ("split", {"kind": "hash", "holdout": 0.3}, 0.3),
        ("columns.amount", {"values": [1, 2]}, (1, 2)),
        ("schedule", None, None),
    ],
)
def test_a_value_becomes_what_steps_use(path: str, value: Any, expected: Any) -> None:
    found: Any = parse(with_key(path, value))
    for name in path.split("."):
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    for name in ("length", "holdout", "values"):
        found = getattr(found, name, found) if not isinstance(found, dict | list) else found
    assert found == expected


def test_class_weights_may_be_keyed_by_numbers_and_bools() -> None:
    text = LEAST.replace("LogisticRegression}", "LogisticRegression, class_weight: {0: 1, 1: 5}}")
    assert parse_pipeline(text, "f").model.class_weight == {0: 1.0, 1: 5.0}
    text = LEAST.replace("LogisticRegression}", "LogisticRegression, class_weight: {true: 1, false: 5}}")
    assert parse_pipeline(text, "f").model.class_weight == {True: 1.0, False: 5.0}


def test_a_hash_split_is_told_from_a_time_split() -> None:
    assert isinstance(parse(with_key("split.kind", "hash")).split, HashSplit)
    assert isinstance(parse(with_key("split.kind", "time")).split, TimeSplit)


# --- defaults that depend on other keys ---------------------------------------


@pytest.mark.parametrize(
    ("change", "score", "scores", "max_shift"),
    [
        ({}, "neg_log_loss", ("neg_log_loss", "roc_auc"), 0.10),
        ({"class_weight": "balanced"}, "roc_auc", ("roc_auc",), 0.10),
        ({"params": {"class_weight": "balanced"}}, "roc_auc", ("roc_auc",), 0.10),
        ({"params": {"class_weight": None}}, "neg_log_loss", ("neg_log_loss", "roc_auc"), 0.10),
    ],
    ids=["plain", "weights", "weights-in-params", "no-weights-in-params"],
)
def test_the_default_gate_of_a_classifier_depends_on_weights(
    change: dict[str, Any], score: str, scores: tuple[str, ...], max_shift: float
) -> None:
    pipeline = parse(SECTIONS | {"model": {**SECTIONS["model"], **change}})
    assert gate(pipeline) == [(score, "min_gain", 0.0)]
    assert pipeline.evaluate.scores == scores
    assert pipeline.evaluate.max_shift == max_shift


@pytest.mark.parametrize(
    ("change", "score", "scores"),
    [
        ({}, "neg_log_loss", ("neg_log_loss", "roc_auc_ovr")),
        ({"class_weight": "balanced"}, "roc_auc_ovr", ("roc_auc_ovr",)),
    ],
    ids=["plain", "weights"],
)
def test_the_default_gate_of_several_classes_has_scores_that_take_them(
    change: dict[str, Any], score: str, scores: tuple[str, ...]
) -> None:
    pipeline = parse(SECTIONS | {"task": "multiclass", "model": {**SECTIONS["model"], **change}})
    assert gate(pipeline) == [(score, "min_gain", 0.0)]
    assert pipeline.evaluate.scores == scores
    assert pipeline.evaluate.max_shift == 0.10


def test_several_classes_without_probabilities_are_judged_by_how_many_are_found() -> None:
    resolved = evaluation(parse(SECTIONS | {"task": "multiclass"}), probabilities=False)
    assert [line.score for line in resolved.gate] == ["balanced_accuracy"]
    assert resolved.scores == ("balanced_accuracy",)


def test_the_defaults_of_a_regression_are_its_own() -> None:
    pipeline = parse(SECTIONS | {"task": "regression"})
    assert gate(pipeline) == [("neg_root_mean_squared_error", "min_gain", 0.0)]
    assert pipeline.evaluate.scores == ("neg_root_mean_squared_error", "r2")
    assert pipeline.evaluate.max_shift == 0.20


def test_the_default_scores_follow_the_gate() -> None:
    lines = [{"score": "accuracy", "min": 0.5}, {"score": "roc_auc", "max_loss": 0.01}]
    assert parse(with_key("evaluate.gate", lines)).evaluate.scores == ("accuracy", "roc_auc")


def test_a_default_gate_without_probabilities_is_roc_auc() -> None:
    resolved = evaluation(parse(SECTIONS), probabilities=False)
    assert [line.score for line in resolved.gate] == ["roc_auc"]
    assert resolved.scores == ("roc_auc",)


def test_a_gate_that_the_file_writes_stands_without_probabilities_too() -> None:
    pipeline = parse(with_key("evaluate.gate", [{"score": "neg_log_loss", "min_gain": 0.1}]))
    resolved = evaluation(pipeline, probabilities=False)
    assert resolved.gate == (GateLine(score="neg_log_loss", min_gain=0.1),)


def test_a_shift_check_that_is_switched_off_stays_off() -> None:
    assert evaluation(parse(with_key("evaluate.max_shift", "none"))).max_shift is None


# --- a fit in batches ---------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "batches"),
    [
        (False, None),
        (True, Batches()),
        ({}, Batches()),
        ({"passes": 3, "batch_rows": 10}, Batches(passes=3, batch_rows=10)),
    ],
    ids=["off", "on", "empty", "a mapping"],
)
def test_incremental_is_a_switch_or_says_how(value: Any, batches: Batches | None) -> None:
    assert parse(with_key("model.incremental", value)).model.batches == batches


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("yes", "model.incremental: must be true or false, not 'yes'"),
        ({"passes": 0}, "model.incremental.passes: must be at least 1"),
        ({"epochs": 3}, "model.incremental.epochs: unknown key"),
    ],
    ids=["neither", "no pass", "unknown key"],
)
def test_what_incremental_does_not_take_is_told(value: Any, fault: str) -> None:
    assert faults_of_sections(with_key("model.incremental", value))[0].startswith(fault)


# --- what is not built yet ----------------------------------------------------

NOT_BUILT: dict[str, Any] = {
    "source.shards": 2,
    "predict.query": "SELECT 1",
    "predict.table": "predictions",
}


@pytest.mark.parametrize(("path", "value"), NOT_BUILT.items(), ids=list(NOT_BUILT))
def test_a_key_that_is_not_built_yet_is_refused_with_a_sentence(path: str, value: Any) -> None:
    (fault,) = faults_of_sections(with_key(path, value))
    assert fault.startswith(path)
    assert "not built yet" in fault


DEFAULTS: dict[str, Any] = {
    "source.shards": 1,
    "features": "auto",
    "model.search": None,
    "predict": {},
}


@pytest.mark.parametrize(("path", "value"), DEFAULTS.items(), ids=list(DEFAULTS))
def test_a_key_that_is_not_built_yet_may_be_written_at_its_default(path: str, value: Any) -> None:
    parse(with_key(path, value))


# --- the objective, and who is told --------------------------------------------


def test_without_a_word_there_is_no_objective_and_nobody_is_told() -> None:
    pipeline = parse(SECTIONS)
    assert (pipeline.slo.max_age, pipeline.slo.on_failure, pipeline.notify.webhook_env) == (None, "retry", None)


@pytest.mark.parametrize("on_failure", ["retry", "alert", "record"])
def test_the_objective_is_read(on_failure: str) -> None:
    pipeline = parse(SECTIONS | {"slo": {"max_age": "10d", "on_failure": on_failure}})
    assert (pipeline.slo.max_age, pipeline.slo.on_failure) == (timedelta(days=10), on_failure)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("slo.max_age", "0s", "slo.max_age: must be longer than 0s"),
        ("slo.max_age", "never", "slo.max_age: must be a duration"),
        ("slo.on_failure", "ignore", "slo.on_failure: must be retry, alert or record, not 'ignore'"),
        ("notify.webhook_env", "https://hooks.example.com/T/B/x", "notify.webhook_env: is an address"),
        ("notify.webhook_env", "MY-HOOK", "notify.webhook_env: must be the name of an environment variable"),
    ],
    ids=["zero", "no duration", "no choice", "an address", "no name"],
)
def test_what_cannot_be_an_objective_or_a_webhook_is_refused(path: str, value: str, words: str) -> None:
    (fault,) = faults_of_sections(with_key(path, value))
    assert fault.startswith(words)
    assert "hooks.example.com" not in fault


# --- the digest of the source -------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("source.query", "SELECT * FROM loans WHERE true"),
        ("source.key", ["loan_id", "part"]),
        ("source.cursor", "updated_at"),
        ("columns.income", {"min": 0}),
    ],
)
def test_the_source_digest_changes_with_what_is_read(path: str, value: Any) -> None:
    assert source_digest(parse(with_key(path, value))) != source_digest(parse(SECTIONS))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "other"),
        ("source.overlap", "2h"),
        ("source.min_new_rows", 5),
        ("window", {"kind": "rolling", "length": "56d"}),
        ("on_bad_row.max_fraction", 0.5),
        ("model.seed", 7),
        ("split.holdout", 0.3),
    ],
)
def test_the_source_digest_covers_nothing_else(path: str, value: Any) -> None:
    assert source_digest(parse(with_key(path, value))) == source_digest(parse(SECTIONS))


def test_the_source_digest_of_a_file_never_changes() -> None:
    """Another digest asks every user's pipeline for a fresh start: change it only on purpose."""
    pipeline = parse(with_key("columns.income", {"type": "float", "min": 0, "nullable": True}))
    assert source_digest(pipeline) == "197ef3a5fecbc84254bccf3f09d8027b05bf4456e2e59ca3ad5a0a4b969b947d"


def test_the_order_of_columns_does_not_change_the_digest() -> None:
    one, other = ({"a": {"min": 0}, "b": {"max": 1}}, {"b": {"max": 1}, "a": {"min": 0}})
    assert source_digest(parse(with_key("columns", one))) == source_digest(parse(with_key("columns", other)))
