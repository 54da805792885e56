"""Secrets never reach logs."""

import json
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
import structlog

from refit.core import logs
from refit.core.logs import redact
from refit.core.step import describe


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        pytest.param("could not connect to postgresql://app:hunter22@db:5432/x", "hunter22", id="url"),
        pytest.param("postgresql://app:p%40ss/word@db/x failed", "p%40ss", id="url with escapes"),
        pytest.param("host=db password=hunter22 dbname=x", "hunter22", id="keywords"),
        pytest.param("host=db password='two words' dbname=x", "two words", id="quoted keyword"),
        pytest.param(r"host=db password=two\ words dbname=x", "words", id="keyword with an escaped space"),
        pytest.param("s3://key:topsecret@bucket", "topsecret", id="another scheme"),
    ],
)
def test_a_password_in_a_connection_string_is_hidden(text: str, secret: str) -> None:
    assert secret not in redact(text, {})


@pytest.mark.parametrize(
    "name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "REFIT_SOURCE_DSN", "REFIT_WEBHOOK_URL"]
)
def test_a_secret_of_the_environment_is_hidden_wherever_it_stands(name: str) -> None:
    assert redact("it said abcd1234/+x to me", {name: "abcd1234/+x"}) == "it said *** to me"


def test_the_password_inside_a_dsn_is_hidden_on_its_own() -> None:
    environment = {"REFIT_SOURCE_DSN": "postgresql://app:s%40cret@db/x"}
    assert redact("password s@cret and s%40cret", environment) == "password *** and ***"


@pytest.mark.parametrize(
    ("dsn", "password"),
    [
        ("postgresql://app:s3cr/et99@db/x", "s3cr/et99"),
        (r"host=db password=two\ words", "two words"),
        (r"host=db password='it\'s-mine'", "it's-mine"),
    ],
    ids=["slash in a URL", "escaped space", "escaped quote"],
)
def test_a_password_is_hidden_on_its_own_however_it_is_written_in_the_dsn(dsn: str, password: str) -> None:
    assert redact(f"they said {password}, so", {"REFIT_SOURCE_DSN": dsn}) == "they said ***, so"


@pytest.mark.parametrize(("name", "value"), [("TOKENIZERS_PARALLELISM", "enough"), ("ALLOW_SECRETS", "false")])
def test_settings_that_are_no_secret_hide_no_words(name: str, value: str) -> None:
    assert redact(f"that is {value}", {name: value}) == f"that is {value}"


def test_a_secret_in_a_mounted_file_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text("host=db password=hunter22\n")
    assert "hunter22" not in redact("hunter22", {"REFIT_SOURCE_DSN_FILE": str(tmp_path / "dsn")})


def test_ordinary_text_stays_as_it_is() -> None:
    text = "wrote 5,213 rows to runs/20261120t070000-k3fw/extract.json"
    assert redact(text, {"PATH": "/usr/bin", "AWS_ACCESS_KEY_ID": "runs"}) == text


@pytest.fixture
def as_before() -> Iterator[None]:
    """Logs are told as before the test, afterwards."""
    with logs.one_call():
        yield
    logs.configure("json")
    structlog.reset_defaults()


@pytest.mark.usefixtures("as_before")
def test_a_secret_is_hidden_however_deep_it_stands_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFIT_SOURCE_DSN", "postgresql://app:hunter22@db/x")
    logs.configure("json")
    logs.logger().warning(
        "again", args=("{'password': 'hunter22'}", {"hunter22"}), kwargs={"a": {"b": ["hunter22"]}}, number=2, off=None
    )
    line = capsys.readouterr().err
    assert "hunter22" not in line
    found = json.loads(line)
    assert (found["args"], found["kwargs"]) == (["{'password': '***'}", "{'***'}"], {"a": {"b": ["***"]}})
    assert (found["number"], found["off"]) == (2, None)


@pytest.mark.usefixtures("as_before")
def test_withheld_words_of_others_leave_type_and_places(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json")
    logs.withhold()
    value = "".join(["can", "ary"])
    try:
        try:
            raise ValueError(value)
        except ValueError as error:
            raise KeyError(value) from error
    except KeyError as error:
        failure = describe(error)
        logs.logger().error("failed", exc_info=error)
    said = capsys.readouterr().err
    assert "canary" not in said + repr(failure)
    assert "KeyError" in said and "caused by: ValueError" in said and "test_logs.py" in said
    assert failure.message == f"KeyError: {logs.WITHHELD}"


def test_what_a_call_withholds_is_withheld_until_its_end_in_all_threads() -> None:
    with ThreadPoolExecutor(1) as threads:
        with logs.one_call():
            with logs.one_call():
                logs.withhold()
                assert threads.submit(logs.foreign, "a value").result() == logs.WITHHELD
            assert not logs.are_withheld()
            logs.withhold()
            with logs.one_call():
                assert logs.foreign("a value") == logs.WITHHELD
            assert logs.are_withheld()
        assert threads.submit(logs.foreign, "a value").result() == "a value"


def test_two_calls_at_once_withhold_until_both_have_ended() -> None:
    def call(begun: Event, ends: Event) -> None:
        with logs.one_call():
            logs.withhold()
            begun.set()
            assert ends.wait(10)

    with ThreadPoolExecutor(2) as threads:
        begun, ends = (Event(), Event()), (Event(), Event())
        calls = [threads.submit(call, *both) for both in zip(begun, ends, strict=True)]
        assert all(event.wait(10) for event in begun)
        for event, ended in zip(ends, calls, strict=True):
            assert logs.are_withheld()
            event.set()
            ended.result()
        assert not logs.are_withheld()


def test_a_warning_is_told_by_its_class_and_place_where_words_are_withheld() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with logs.one_call():
            warnings.warn("a value", stacklevel=1)
            logs.withhold()
            warnings.warn("a value", RuntimeWarning, stacklevel=1)
        warnings.warn("a value", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["a value", logs.WITHHELD, "a value"]
    assert (caught[1].category, caught[1].filename) == (RuntimeWarning, __file__)


def test_words_of_others_are_told_where_nothing_is_sensitive() -> None:
    assert logs.foreign(ValueError("all of it")) == "all of it"
    assert describe(ValueError("all of it")).message == "ValueError: all of it"


def test_a_long_line_costs_no_more_than_its_length() -> None:
    line = "x" * (1 << 20)
    assert redact(f"{line} 1postgres://me:secret@db/x") == f"{line} 1postgres://me:***@db/x"


@pytest.mark.parametrize("part", ["http://a:", "http://me:x", "password=", "password='", "a://b"])
def test_a_long_line_of_what_looks_like_a_secret_comes_to_an_end(part: str) -> None:
    assert "\n" not in redact(part * 30_000 + " ")


def test_a_secret_with_a_line_end_or_of_many_lines_is_hidden_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n  9w0BAQEFAASCBKcwggSj\nend\n"
    environment = {"MY_SECRET": "s3cr3t-word\n", "KEY_TOKEN": key}
    assert redact("it was s3cr3t-word", environment) == "it was ***"
    assert redact("9w0BAQEFAASCBKcwggSj\n", environment) == "***\n"
    assert redact("the end of MIIEvQIBADANBgkqhkiG", environment) == "the end of ***"
