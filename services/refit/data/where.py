"""A small parser of our own for conditions on rows.

where       = condition {"and" condition}
condition   = column ("=" | "<>" | "!=" | "<" | "<=" | ">" | ">=") literal
            | column "between" literal "and" literal          both ends included, as in SQL
            | column "in" "(" literal {"," literal} ")"
            | column "is" ["not"] "null"
column      = a name, or any name "in double quotes" ("" is a quote)
literal     = a number | 'text' ('' is a quote) | true | false
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, get_args

from refit.data.condition import SHOWN, BadCondition, Condition, Given, Operator, Where

LONGEST: Final = 2_000
MOST_LITERALS: Final = 1_000

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<word>[^\W\d]\w*)
    | (?P<symbol><>|!=|<=|>=|[=<>(),])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Token:
    kind: Literal["number", "text", "name", "word", "symbol", "end"]
    text: str
    place: int

    @property
    def shown(self) -> str:
        return "its end" if self.kind == "end" else repr(self.text[:SHOWN])


def read_where(text: str) -> Where:
    """The conditions that the text says.

    Raises:
        BadCondition: it says none, or none that is known here.
    """
    if len(text) > LONGEST:
        raise BadCondition(f"it has {len(text):,} characters; the most are {LONGEST:,}", LONGEST)
    return Where(text, _Reader(_tokens(text)).conditions())


def _tokens(text: str) -> list[_Token]:
    tokens, start, end = list[_Token](), 0, len(text.rstrip())
    while start < end:
        match = _TOKEN.match(text, start)
        if match is None or match.lastgroup is None:
            start += len(text[start:]) - len(text[start:].lstrip())
            what = "is not closed" if text[start] in "'\"" else "has no meaning"
            junk = re.match(r"\w+|.", text[start:], re.DOTALL)
            assert junk is not None
            raise BadCondition(f"{junk[0][:SHOWN]!r} {what}", start + 1)
        kind, body, place = match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1
        if kind == "quoted":
            tokens.append(_Token("name", body[1:-1].replace('""', '"'), place))
        elif kind == "text":
            tokens.append(_Token("text", body[1:-1].replace("''", "'"), place))
        elif kind == "number":
            tokens.append(_Token("number", body, place))
        else:
            tokens.append(_Token("word" if kind == "word" else "symbol", body, place))
        start = match.end()
    return [*tokens, _Token("end", "", len(text) + 1)]


class _Reader:
    """Recursive descent over the tokens; the grammar is the module's."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens, self._next = tokens, 0

    def conditions(self) -> tuple[Condition, ...]:
        found = self._condition()
        while self._take("and"):
            found += self._condition()
        token = self._peek()
        if token.kind != "end":
            hint = "; conditions are joined by and alone" if token.text.lower() == "or" else ""
            raise BadCondition(f"and, or the end, should stand where {token.shown} stands{hint}", token.place)
        return found

    def _condition(self) -> tuple[Condition, ...]:
        name = self._token()
        if name.kind not in ("name", "word") or (name.kind == "word" and name.text.lower() in ("and", "or", "not")):
            raise BadCondition(f"a column should stand where {name.shown} stands", name.place)
        token = self._token()
        match token.text.lower() if token.kind in ("word", "symbol") else "":
            case "between":
                least = self._literal()
                self._expect("and")
                most = self._literal()
                ends: tuple[tuple[Operator, Given], ...] = ((">=", least), ("<=", most))
                return tuple(Condition(name.text, name.place, operator, (given,)) for operator, given in ends)
            case "in":
                return (Condition(name.text, name.place, "in", self._list()),)
            case "is":
                negated = self._take("not")
                self._expect("null")
                return (Condition(name.text, name.place, "is not null" if negated else "is null"),)
            case "!=":
                return (Condition(name.text, name.place, "<>", (self._literal(),)),)
            case operator:
                for known in get_args(Operator):
                    if operator == known:
                        return (Condition(name.text, name.place, known, (self._literal(),)),)
        raise BadCondition(f"a comparison, between, in or is should stand where {token.shown} stands", token.place)

    def _list(self) -> tuple[Given, ...]:
        self._expect("(")
        found = [self._literal()]
        while self._take(","):
            found.append(self._literal())
        self._expect(")")
        if len(found) > MOST_LITERALS:
            raise BadCondition(f"in has {len(found):,} values; the most are {MOST_LITERALS:,}", found[0].place)
        return tuple(found)

    def _literal(self) -> Given:
        token = self._token()
        if token.kind == "text":
            return Given(token.text, token.place)
        if token.kind == "number":
            return Given(_number(token), token.place)
        if token.kind == "word" and token.text.lower() in ("true", "false"):
            return Given(token.text.lower() == "true", token.place)
        hint = "; text stands in 'single quotes'" if token.kind in ("word", "name") else ""
        raise BadCondition(f"a value should stand where {token.shown} stands{hint}", token.place)

    def _expect(self, text: str) -> None:
        token = self._peek()
        if not self._take(text):
            raise BadCondition(f"{text} should stand where {token.shown} stands", token.place)

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token.kind not in ("word", "symbol") or token.text.lower() != text:
            return False
        self._next += 1
        return True

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _token(self) -> _Token:
        token = self._peek()
        self._next += token.kind != "end"
        return token


def _number(token: _Token) -> Decimal:
    try:
        return Decimal(token.text)
    except InvalidOperation as error:
        raise BadCondition(f"{token.shown} is too large", token.place) from error
