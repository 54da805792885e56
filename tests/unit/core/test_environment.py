"""Who starts a run, and what differs here from where a model was fitted."""

import os
import pwd

import pytest

from refit.core.environment import changes, created_by, versions

NAMES = ("REFIT_CREATED_BY", "LOGNAME", "USER", "LNAME", "USERNAME")


def test_a_user_number_without_a_name_is_named_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    unknown = max(entry.pw_uid for entry in pwd.getpwall()) + 1
    monkeypatch.setattr(os, "getuid", lambda: unknown)
    assert created_by().startswith(f"{unknown}@")


def test_the_setting_says_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFIT_CREATED_BY", "cronjob/weekly")
    assert created_by() == "cronjob/weekly"


HERE = versions()


@pytest.mark.parametrize(
    ("then", "packages", "expected"),
    [
        pytest.param(HERE, set(), (), id="nothing"),
        pytest.param({}, set(), ("nothing tells which versions fitted it",), id="not told"),
        pytest.param(
            HERE | {"numpy": "1.0"}, set(), (f"numpy was 1.0 and is {HERE['numpy']}",), id="a library of every model"
        ),
        pytest.param(HERE | {"boto3": "1.0", "lightgbm": "1.0"}, set(), (), id="libraries that no answer depends on"),
        pytest.param(
            HERE | {"xgboost": "1.0"},
            {"xgboost"},
            ("xgboost was 1.0 and is not here",),
            id="one that the file names",
        ),
        pytest.param(
            {name: told for name, told in HERE.items() if name != "skops"},
            set(),
            (f"skops was not there and is {HERE['skops']}",),
            id="one that was not there",
        ),
    ],
)
def test_what_changed_since_a_model_was_fitted_is_told(
    then: dict[str, str], packages: set[str], expected: tuple[str, ...]
) -> None:
    assert changes(then, packages) == expected
