"""A YAML 1.2 file as plain Python values, with the place of every key and value.

PyYAML reads the YAML 1.1 of 2005, where 1e-3 is text, NO is false, 12:30 is 750 and the last of two equal keys wins.
Here its parser only gives events; scalars follow the core schema of https://yaml.org/spec/1.2.2/#103-core-schema, and
equal keys are faults. Nothing recurses and all is bounded, so that no input costs more than seconds: the file's size,
its depth, and its values, each alias counted as all that it repeats.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.reader import ReaderError

FILE_BYTES: Final = 1_000_000
DEPTH: Final = 50
WEIGHT: Final = 20_000
CHARACTERS_PER_WEIGHT: Final = 100
DIGITS: Final = 40

_NULL: Final = re.compile(r"(?:null|Null|NULL|~|)")
_BOOL: Final = re.compile(r"(?:true|True|TRUE|false|False|FALSE)")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY: Final = re.compile(r"[-+]?(?:\.inf|\.Inf|\.INF)")
_NAN: Final = re.compile(r"(?:\.nan|\.NaN|\.NAN)")

Path = tuple[Any, ...]
"""Keys and list indices from the top of the file to a value."""


@dataclass(frozen=True, order=True)
class Place:
    """A line and column, both counted from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, order=True)
class Fault:
    """Something wrong at a place of the file; `path` is the dotted key, empty for the file as a whole."""

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        words = f"{self.path}: {self.message}" if self.path else self.message
        one_line = words if words.isprintable() else words.encode("unicode_escape").decode()
        return f"{self.place.line}:{self.place.column}: {one_line}"


@dataclass(frozen=True)
class Document:
    """What a file holds. With `readable` False the value is None and the faults say why."""

    value: Any
    readable: bool
    faults: tuple[Fault, ...]
    keys: dict[Path, Place]
    values: dict[Path, Place]

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Where the value at `path` stands, or its key; for a path that is not there, where its nearest parent's is."""
        if not of_key and path in self.values:
            return self.values[path]
        for length in range(len(path), 0, -1):
            if (place := self.keys.get(path[:length])) or (place := self.values.get(path[:length])):
                return place
        return self.values.get((), Place())


def path_text(path: Path) -> str:
    """The path as people write it: `evaluate.gate[0].score`."""
    words = ""
    for part in path:
        words += f"[{part}]" if isinstance(part, int) and not isinstance(part, bool) else f".{str(part)[:80]}"
    return words.removeprefix(".")


def read_yaml(text: bytes | str) -> Document:
    """The values and places of a file; never raises, whatever the bytes."""
    reading = _Reading()
    value: Any = None
    readable = False
    try:
        value = reading.read(_decoded(text))
        readable = True
    except _Unreadable as stop:
        reading.faults.append(stop.fault)
    return Document(value, readable, tuple(reading.faults), reading.keys, reading.values)


class _Unreadable(Exception):
    """The rest of the file cannot be read."""

    def __init__(self, place: Place, message: str, path: str = "") -> None:
        super().__init__(message)
        self.fault = Fault(place, path, message)


def _decoded(text: bytes | str) -> str:
    if len(text) > FILE_BYTES:
        raise _Unreadable(Place(), f"the file is larger than {FILE_BYTES:,} bytes")
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = text[: error.start].decode("utf-8-sig", "replace")
        raise _Unreadable(_place_after(before), "the file is not valid UTF-8 here") from error


def _place_after(before: str) -> Place:
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _events(text: str) -> Iterator[yaml.Event]:
    """The parser's events.

    Raises:
        _Unreadable: the text is no YAML; says where.
    """
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_event():
            event: yaml.Event = loader.get_event()  # type: ignore[no-untyped-call]  # untyped in types-PyYAML
            yield event
    except ReaderError as error:
        character = f"U+{ord(text[error.position]):04X}"
        place = _place_after(text[: error.position])
        raise _Unreadable(place, f"the character {character} is not allowed in a YAML file") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place() if mark is None else _place(mark)
        raise _Unreadable(place, _syntax(error)) from error
    except (ValueError, OverflowError) as error:  # PyYAML passes escapes and versions to chr() and int() unchecked
        place = Place() if loader is None else _place(loader.get_mark())
        raise _Unreadable(place, "is not valid YAML: an escape or a number is out of range") from error


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem, context = error.problem or "", error.context or ""
    words = f"is not valid YAML: {problem}" + (f" {context}" if context else "")
    if error.context_mark and error.problem_mark and error.context_mark.line != error.problem_mark.line:
        words += f" that begins in line {error.context_mark.line + 1}"
    if "alias" in context or "anchor" in context:
        return f"{words}; quote a text that starts with * or &"
    if "cannot start any token" in problem:
        return f"{words}; quote a text that starts with this character"
    if "mapping values are not allowed" in problem:
        return f"{words}; quote a text that holds a colon, and see that keys are aligned"
    return words


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


# --- events to values ---------------------------------------------------------


@dataclass
class _Open:
    """A list or mapping whose end has not come."""

    path: Path
    value: Any
    anchor: str | None
    weight: int = 1
    key: Any = None
    key_read: bool = False
    dropped: bool = False
    """The value that follows belongs to a refused key and goes nowhere."""


@dataclass
class _Reading:
    faults: list[Fault] = field(default_factory=list)
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    opened: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    weight: int = 0
    root: Any = None

    def read(self, text: str) -> Any:
        documents = 0
        for event in _events(text):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Unreadable(_place(event.start_mark), "a second document starts here; one file, one pipeline")
            elif isinstance(event, yaml.NodeEvent):
                self._node(event, _place(event.start_mark))
            elif isinstance(event, yaml.CollectionEndEvent):
                closed = self.opened.pop()
                self._finish(closed.value, closed.weight, closed.anchor, _place(event.start_mark))
        return self.root

    def _node(self, event: yaml.NodeEvent, place: Place) -> None:
        path = self._next_path()
        if not self._awaits_key():
            self.values.setdefault(path, place)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise _Unreadable(
                    place, f"the alias *{str(event.anchor)[:40]} names nothing complete above it", path_text(path)
                )
            value, weight = self.anchors[event.anchor]
            self._weigh(weight, place)
            self._finish(value, weight, None, place)
            return
        if getattr(event, "tag", None) is not None:
            self.faults.append(Fault(place, path_text(path), "tags (!…) are not read; leave it out"))
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, place, path)
            return
        if self._awaits_key():
            raise _Unreadable(place, "a list or mapping cannot be a key; quote a text that starts with [ or {")
        if len(self.opened) >= DEPTH:
            raise _Unreadable(place, f"is nested more than {DEPTH} levels deep", path_text(path[:4]))
        self._weigh(1, place)
        empty: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.opened.append(_Open(path, empty, event.anchor))

    def _scalar(self, event: yaml.ScalarEvent, place: Place, path: Path) -> None:
        plain = bool(event.implicit[0])
        try:
            value = _resolved(event.value) if plain else _checked(event.value)
        except ValueError as error:
            self.faults.append(Fault(place, path_text(path), str(error)))
            value = None
        weight = 1 + len(event.value) // CHARACTERS_PER_WEIGHT
        self._weigh(weight, place)
        if self._awaits_key():
            self._key(value, place, plain)
        else:
            self._finish(value, weight, event.anchor, place)

    def _key(self, key: Any, place: Place, plain: bool) -> None:
        parent = self.opened[-1]
        path = (*parent.path, key)
        parent.key, parent.key_read, parent.dropped = key, True, False
        if key == "<<" and plain:
            parent.dropped = True
            self.faults.append(Fault(place, path_text(parent.path), "merge keys (<<) belong to YAML 1.1; write it out"))
        elif key in parent.value:
            parent.dropped = True
            first = self.keys[path].line
            self.faults.append(Fault(place, path_text(path), f"is given twice; the first is in line {first}"))
        else:
            self.keys[path] = place

    def _finish(self, value: Any, weight: int, anchor: str | None, place: Place) -> None:
        """Puts a complete value where it belongs."""
        if anchor is not None:
            self.anchors[anchor] = (value, weight)
        if not self.opened:
            self.root = value
            return
        parent = self.opened[-1]
        parent.weight += weight
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif self._awaits_key():  # only an alias comes here
            raise _Unreadable(place, "an alias cannot be a key")
        else:
            if not parent.dropped:
                parent.value[parent.key] = value
            parent.key_read = False

    def _awaits_key(self) -> bool:
        return bool(self.opened) and isinstance(self.opened[-1].value, dict) and not self.opened[-1].key_read

    def _next_path(self) -> Path:
        if not self.opened:
            return ()
        parent = self.opened[-1]
        if isinstance(parent.value, list):
            return (*parent.path, len(parent.value))
        return (*parent.path, parent.key) if parent.key_read else parent.path

    def _weigh(self, weight: int, place: Place) -> None:
        self.weight += weight
        if self.weight > WEIGHT:
            raise _Unreadable(place, f"the file holds more than {WEIGHT:,} values")


# --- scalars ------------------------------------------------------------------


def _resolved(text: str) -> Any:
    """The value of a plain scalar by the core schema.

    Raises:
        ValueError: a number that no float or reasonable integer holds.
    """
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            if len(text) > DIGITS:
                raise ValueError(f"is a number of more than {DIGITS} digits; quote it if it is text")
            return int(text, base)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise ValueError("is a number beyond what a float holds")
        return number
    if _INFINITY.fullmatch(text):
        return -math.inf if text.startswith("-") else math.inf
    return math.nan if _NAN.fullmatch(text) else _checked(text)


def _checked(text: str) -> str:
    """The text, with the pairs of escapes that JSON writes for one character joined."""
    try:
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise ValueError("holds half a character (a lone surrogate)") from error
    if "\0" in whole:
        raise ValueError("holds the character NUL, which no text of PostgreSQL may hold")
    return whole
