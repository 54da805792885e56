"""Messages to a webhook: their shape, how long they may take, and what is told of one that fails."""

import socket
import time

import pytest

from refit.core.webhook import LINE_LIMIT, Webhook, text
from tests.fixtures.webhook import Receiver, receiver

__all__ = ["receiver"]
SECRET = "very-secret-word"


def hook(url: str, seconds: float = 5.0) -> Webhook:
    return Webhook(url, "HOOK", seconds)


def test_a_message_is_json_with_a_text(receiver: Receiver) -> None:
    assert hook(receiver.url).tell(["loans failed", "", "Next: refit rerun loans"]) == ""
    assert receiver.documents == [{"text": "loans failed\nNext: refit rerun loans"}]
    assert receiver.headers[0]["Content-Type"].startswith("application/json")


def test_what_slack_takes_for_markup_is_written_as_text() -> None:
    assert text(["<!channel> a & b\x00\x1b[31m\u2028x"]) == "&lt;!channel&gt; a &amp; b [31m x"
    assert len(text(["x" * 5000])) == LINE_LIMIT


def test_secrets_are_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFIT_SOURCE_DSN", "postgresql://reader:hunter2hunter2@db/x")
    assert "hunter2" not in text(["could not connect to postgresql://reader:hunter2hunter2@db/x, hunter2hunter2"])


def test_user_and_password_of_the_address_go_as_authentication(receiver: Receiver) -> None:
    assert hook(receiver.url.replace("http://", "http://bob:p%40ss@")).tell(["x"]) == ""
    assert receiver.headers[0]["Authorization"] == "Basic Ym9iOnBAc3M="


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.location = 302, receiver.url + "/elsewhere"
    assert hook(receiver.url).tell(["x"]).startswith("the webhook of HOOK: it answered 302")
    assert len(receiver.paths) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_an_answer_that_is_none_is_told_with_its_words_and_without_the_address(receiver: Receiver, status: int) -> None:
    receiver.status, receiver.answer = status, f"no_service at {receiver.url}".encode()
    reason = hook(receiver.url).tell(["x"])
    assert f"it answered {status}" in reason
    assert "no_service" in reason
    assert SECRET not in reason


@pytest.mark.parametrize("path", ["/T0/s3cret", "?key=s3cret"])
def test_an_answer_that_repeats_a_short_path_shows_none_of_it(receiver: Receiver, path: str) -> None:
    url = receiver.url.partition("/services")[0] + path
    receiver.status, receiver.answer = 404, f"nothing at {path}".encode()
    reason = hook(url).tell(["x"])
    assert "nothing at ***" in reason
    assert "s3cret" not in reason


def test_an_answer_cannot_move_the_cursor_of_a_terminal(receiver: Receiver) -> None:
    receiver.status, receiver.answer = 500, b"\x1b[2Jaway\x00\xff"
    assert hook(receiver.url).tell(["x"]).endswith(" [2Jaway \ufffd")


def test_an_answer_in_drops_has_a_deadline(receiver: Receiver) -> None:
    receiver.slow_seconds = 60.0
    began = time.monotonic()
    receiver.status = 500
    assert "no answer within 0.5 s" in hook(receiver.url, 0.5).tell(["x"])
    assert time.monotonic() - began < 2.0


def test_a_server_that_takes_no_word_has_a_deadline() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        reason = hook(f"http://127.0.0.1:{deaf.getsockname()[1]}/{SECRET}", 0.5).tell(["x"])
    assert "no answer within 0.5 s" in reason or "timed out" in reason


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "HOOK is not set"),
        (f"ftp://host/{SECRET}", "it holds no address like https://"),
        (SECRET, "it holds no address like https://"),
        (f"http://127.0.0.1:1/{SECRET}", "refused"),
        (f"http://127.0.0.1:99999/{SECRET}", "the webhook of HOOK: "),
        (f"http://127.0.0.1/a b\n/{SECRET}", "the webhook of HOOK: "),
        (f"http://127.0.0.1/\x01'{SECRET}\"", "cannot be used (InvalidURL)"),
        (f"http://bob:{SECRET}/x@127.0.0.1/x", "it holds no address like https://"),
        (f"http://127.0.0.1/\udcff{SECRET}", "cannot be used (UnicodeEncodeError)"),
        (f"http://[::1/{SECRET}", "it holds no address like https://"),
        (f"http://{'a' * 70}.example/{SECRET}", "the webhook of HOOK: "),
    ],
    ids=[
        "unset",
        "ftp",
        "no address",
        "nobody there",
        "no port",
        "no path",
        "escaped",
        "slash in the password",
        "no UTF-8",
        "no host",
        "no name",
    ],
)
def test_an_address_that_is_none_is_told_and_not_shown(url: str, words: str) -> None:
    reason = hook(url, 2.0).tell(["x"])
    assert words in reason
    assert SECRET not in reason
    assert SECRET not in repr(hook(url))
