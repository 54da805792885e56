"""One message to a webhook over HTTP. Imported when something is sent: what talks HTTP costs as much as a command."""

import json
import re
from base64 import b64encode
from http.client import HTTPException, InvalidURL
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from refit.core.logs import HIDDEN, redact

_WORDS_LIMIT: Final = 200
_PATH: Final = re.compile("[/?].*", re.DOTALL)


class Unmoved(HTTPRedirectHandler):
    """A redirect is an error: urllib would follow it with a GET, which sends nothing and is answered with 200."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def post(url: str, document: Any, timeout_seconds: float) -> str:
    """The address has the document as JSON; returns why it has not, in words without the address, or nothing."""
    try:
        parts = address_of(url)
        if parts is None:
            return "it holds no address like https://hooks.example.com/…"
        bare = without_user(parts).geturl()
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "refit"}
        headers |= authorization(parts)
        request = Request(bare, json.dumps(document).encode(), headers, method="POST")  # noqa: S310  as seen above
        with build_opener(Unmoved).open(request, timeout=timeout_seconds):
            return ""
    except HTTPError as error:
        with error:
            body = " ".join(body_of(error, _WORDS_LIMIT).decode(errors="replace").split())
            return _words(f"it answered {error.code} {error.reason}" + (f": {body}" if body else ""), url)
    except URLError as error:
        return _words(str(error.reason), url)
    except (ValueError, InvalidURL) as error:  # whose words quote the address, in part and escaped
        return f"it holds an address that cannot be used ({type(error).__name__})"
    except (OSError, HTTPException) as error:
        return _words(str(error) or type(error).__name__, url)


def address_of(url: str) -> SplitResult | None:
    """The parts of an address of HTTP; None where it is none.

    A password with a character that has to be encoded, like `/`, ends the host there and begins the port: what urllib
    says of such a port would be a part of the password.
    """
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_whole else None


def without_user(parts: SplitResult) -> SplitResult:
    """The address as a request has it: user and password go as a header, and a fragment goes nowhere."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")


def authorization(parts: SplitResult) -> dict[str, str]:
    """The header of the address's user and password; none where it has no user."""
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def body_of(error: HTTPError, limit: int) -> bytes:
    """What the answer says of itself, as far as it comes."""
    try:
        return error.read(limit)
    except (OSError, HTTPException):
        return b""


def _words(text: str, url: str) -> str:
    """The text without the address, of which each part but the host may be what lets one in."""
    path = "".join(_PATH.findall(url.partition("://")[2]))
    pieces = (piece for piece in re.split("[/?&]", path) if len(piece) >= 8)
    secrets = {url, *pieces, *((path,) if len(path) > 1 else ())}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return redact(text)[:_WORDS_LIMIT]
