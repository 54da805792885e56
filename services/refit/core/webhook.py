"""The webhook that `notify.webhook_env` of the file names. A message that fails changes nothing but its record.

A message is JSON as Slack's incoming webhooks take it, and with them Mattermost, Rocket.Chat, Discord (…/slack) and
whatever reads {"text": …}: https://api.slack.com/messaging/webhooks
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from refit.core.deadline import within
from refit.core.domain import Instant, Record
from refit.core.effects import effect
from refit.core.logs import redact

TIMEOUT_SECONDS: Final = 5.0
"""From the look-up of the name to the last byte of the answer."""
LINE_LIMIT: Final = 600
_ENTITIES: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
"""What Slack asks to be written so: https://api.slack.com/reference/surfaces/formatting#escaping"""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class NotTold(Record):
    """runs/<run_id>/logs/webhook.json: why the webhook does not know of the run's end."""

    at: Instant
    reason: str


@dataclass(frozen=True)
class Webhook:
    """An address that takes messages.

    Attributes:
        url: http or https; whoever knows it may write, so it is a secret.
        variable: The environment variable that it is from.
    """

    url: str = field(repr=False)
    variable: str
    timeout_seconds: float = TIMEOUT_SECONDS

    def tell(self, lines: Sequence[str]) -> str:
        """The message was taken; returns why it was not, in words without secrets, or nothing."""
        if not self.url:
            return f"the environment variable {self.variable} is not set"

        def work() -> str:
            from refit.core.post import post

            return post(self.url, {"text": text(lines)}, self.timeout_seconds)

        with effect("post webhook"):
            reason = within(self.timeout_seconds, work, "refit-webhook")
        return f"the webhook of {self.variable}: {_CONTROL.sub(' ', reason).strip()}" if reason else ""


def text(lines: Sequence[str]) -> str:
    """The lines as one plain text, without secrets."""
    return "\n".join(_plain(redact(line)) for line in lines if line)


def _plain(line: str) -> str:
    line = _CONTROL.sub(" ", line).strip()
    line = line if len(line) <= LINE_LIMIT else f"{line[: LINE_LIMIT - 1]}…"
    for character, entity in _ENTITIES:
        line = line.replace(character, entity)
    return line
