"""Who starts a run, also where the system does not know them."""

import os
import pwd

import pytest

from refit.core.environment import created_by

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
