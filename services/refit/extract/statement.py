"""The user's query as one statement that can stand inside another. Pure.

The text is read the way PostgreSQL's lexer reads it (src/backend/parser/scan.l): strings with doubled quotes, E''
strings with backslashes, quoted names, dollar quotes and nested comments are passed over as wholes, so that a
semicolon or a bracket inside them means nothing.
"""

import re
from collections.abc import Iterator
from typing import Final

from refit.core.errors import ConfigError

_TOKEN: Final = re.compile(
    r"""
      (?P<line_comment>--[^\n\r]*)
    | (?P<comment>/\*)
    | (?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*(?P<escaped_end>'?))
    | (?P<text>'(?:[^']|'')*(?P<text_end>'?))
    | (?P<quoted>"(?:[^"]|"")*(?P<quoted_end>"?))
    | (?P<dollar>(?<![\w$])\$(?P<tag>[^\W\d]\w*)?\$)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<space>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_STARTS: Final = frozenset({"select", "with", "values", "table", "("})


class UnusableQuery(ConfigError):
    """`source.query` cannot be read as one SELECT."""

    def __init__(self, what: str) -> None:
        super().__init__(f"source.query {what}", next="write one SELECT, without bounds on the cursor; refit adds them")


def statement(query: str) -> str:
    """The query without what follows its last word: semicolons, blanks, comments.

    Raises:
        UnusableQuery: it is empty, no SELECT, more than one statement, or cut off within quotes, brackets or a comment.
    """
    if "\0" in query:
        raise UnusableQuery("holds a NUL character")
    end, depth, first, closed = 0, 0, "", False
    for kind, lexeme, stop in _tokens(query):
        if kind in ("space", "line_comment", "comment"):
            continue
        if lexeme == ";" and depth == 0:
            closed = True
            continue
        if closed:
            raise UnusableQuery("has more than one statement" if first else "begins with a semicolon")
        depth += (lexeme == "(") - (lexeme == ")")
        if depth < 0:
            raise UnusableQuery("closes a bracket that it did not open")
        first, end = first or lexeme.lower(), stop
    if not first:
        raise UnusableQuery("is empty")
    if depth:
        raise UnusableQuery("opens a bracket that it does not close")
    if first not in _STARTS:
        raise UnusableQuery(f"begins with {first[:40]}; only a SELECT can be read")
    return query[:end]


def _tokens(query: str) -> Iterator[tuple[str, str, int]]:
    """Kind, text and end of each token; comments and quotes are one token each."""
    position = 0
    while match := _TOKEN.match(query, position):
        kind, position = str(match.lastgroup), match.end()
        if kind in ("escaped", "text", "quoted") and not match[f"{kind}_end"]:
            raise UnusableQuery("ends inside quotes")
        if kind == "dollar":
            position = query.find(match[0], match.end()) + len(match[0])
            if position < match.end():
                raise UnusableQuery(f"ends inside {match[0]} quotes")
        elif kind == "comment":
            position = _comment_end(query, match.end())
        yield kind, match[0], position


def _comment_end(query: str, position: int) -> int:
    depth = 1
    for mark in re.finditer(r"/\*|\*/", query[position:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return position + mark.end()
    raise UnusableQuery("ends inside a comment")
