"""Connection strings that cannot be used are refused before a server, or a message, sees a piece of their password."""

import sys
from datetime import timedelta

import pytest
import structlog

from refit.core.errors import DependencyError
from refit.extract import database
from refit.extract.database import open_database
from refit.extract.faults import BadDsn


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app:pa55@w0rd@127.0.0.1:1/x",
        "postgresql://app:pa55/w0rd@127.0.0.1:1/x",
        "postgres://app:pa55@w0rd/w0rd@127.0.0.1:1/x?connect_timeout=1",
        "postgresql://app:pa55/w?0rd@127.0.0.1:1/x",
        "postgresql://app:pa55%w0rd@127.0.0.1:1/x",
        "host=127.0.0.1 password='pa55w0rd dbname=x",
    ],
)
def test_a_password_that_is_not_escaped_is_refused_and_not_told(dsn: str) -> None:
    with pytest.raises(BadDsn) as caught, open_database(dsn, "tests", timedelta(seconds=1)):
        pass
    assert "pa55" not in caught.value.message
    assert "0rd" not in caught.value.message


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app:pa%4055%2F@127.0.0.1:1/x",
        "postgresql://app:pa?55:@127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?user=app&password=a@b",
        "postgresql:///x?host=127.0.0.1&port=1",
        "host=127.0.0.1 port=1 password=a@b/c",
    ],
)
def test_a_connection_string_that_can_be_read_is_tried(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(settings: dict[str, str]) -> None:
        raise DependencyError(settings["host"] + settings["port"])

    monkeypatch.setattr(database, "_connect", away)
    monkeypatch.setattr(database, "CONNECT_ATTEMPTS", 1)
    with pytest.raises(DependencyError, match=r"127\.0\.0\.11"), open_database(dsn, "tests", timedelta(seconds=1)):
        pass


def test_a_connection_that_is_tried_again_is_told_without_what_it_is_made_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also without the redaction of logs, which knows the credentials of the environment alone."""
    monkeypatch.setattr(database, "CONNECT_ATTEMPTS", 2)
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(file=sys.stderr)
    )
    try:
        dsn = "host=127.0.0.1 port=1 user=app password=hunter22"
        with pytest.raises(DependencyError), open_database(dsn, "tests", timedelta(seconds=1)):
            pass
    finally:
        structlog.reset_defaults()
    said = capsys.readouterr().err
    assert "retry_scheduled" in said
    assert "Connection refused" in said
    assert "hunter22" not in said
