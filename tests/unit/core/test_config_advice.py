from typing import Any

import pytest

from refit.core.config import parse_pipeline
from refit.core.config_advice import warnings
from tests.unit.core.pipeline_files import DEMO, LEAST, SECTIONS, TEXTBOOK, parse

WEIGHTED = {**SECTIONS["model"], "class_weight": "balanced"}
LOG_LOSS = {"gate": [{"score": "neg_log_loss", "min_gain": 0}]}


@pytest.mark.parametrize("text", [LEAST, TEXTBOOK, DEMO], ids=["least", "textbook", "demo"])
def test_the_documented_files_raise_no_doubt(text: str) -> None:
    assert warnings(parse_pipeline(text, "refit.yaml")) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": WEIGHTED, "evaluate": LOG_LOSS}, "class weights spoil probabilities, and neg_log_loss"),
        (
            {"model": {**SECTIONS["model"], "params": {"class_weight": {0: 1, 1: 2}}}, "evaluate": LOG_LOSS},
            "class weights spoil probabilities",
        ),
        ({"task": "multiclass", "model": WEIGHTED, "evaluate": LOG_LOSS}, "Gate on roc_auc_ovr, or leave"),
        ({"split": {"holdout": "7d"}}, "split.holdout: rows of one day win or lose together"),
        ({"split": {"holdout": "14d"}, "evaluate": {"block": "week"}}, "the gate needs 28 days"),
        ({"window": {"kind": "rolling", "length": "28d"}}, "7 days make every verdict inconclusive"),
        ({"window": {"kind": "rolling", "length": "7d"}, "split": {"kind": "hash"}}, "window.length: rows of one day"),
        ({"evaluate": {"gate": [{"score": "roc_auc", "min": 0.6}]}}, "no line compares with the champion"),
        ({"slo": {"max_age": "7d"}, "schedule": {"cron": "0 5 * * 1"}}, "slo.max_age: the schedule has 7 days between"),
        (
            {"slo": {"max_age": "2d"}, "schedule": {"cron": "0 5 * * 1-5"}},
            "3 days between two runs, so an objective of 2d is broken",
        ),
    ],
    ids=[
        "weights",
        "weights-in-params",
        "weights-of-several",
        "short",
        "short-for-weeks",
        "short-fraction",
        "short-hash",
        "only-floors",
        "as-old-as-the-schedule",
        "over-a-weekend",
    ],
)
def test_a_doubtful_file_is_warned_of(changes: dict[str, Any], words: str) -> None:
    (sentence,) = warnings(parse(SECTIONS | changes))
    assert words in sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"model": WEIGHTED},
        {"model": WEIGHTED, "evaluate": {"gate": [{"score": "roc_auc", "min_gain": 0}]}},
        {"split": {"holdout": "10d"}},
        {"split": {"holdout": "28d"}, "evaluate": {"block": "week"}},
        {"split": {"kind": "hash"}},
        {"window": {"kind": "rolling", "length": "40d"}},
    ],
    ids=["weights-default-gate", "weights-ranking", "ten-days", "four-weeks", "hash", "quarter-of-40"],
)
def test_a_sound_file_is_not_warned_of(changes: dict[str, Any]) -> None:
    assert warnings(parse(SECTIONS | changes)) == ()
