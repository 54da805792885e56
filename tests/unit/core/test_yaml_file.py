import math
import time

import pytest

from refit.core.yaml_file import FILE_BYTES, Document, Place, read_yaml


def value(text: str | bytes) -> object:
    document = read_yaml(text)
    assert document.faults == ()
    return document.value


def sole_fault(text: str | bytes) -> str:
    document = read_yaml(text)
    assert len(document.faults) == 1
    return str(document.faults[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001),
        ("1E+3", 1000.0),
        (".5", 0.5),
        ("-2.", -2.0),
        ("12", 12),
        ("-7", -7),
        ("+7", 7),
        ("0123", 123),
        ("0o17", 15),
        ("0x1F", 31),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("", None),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2013-02-01", "2013-02-01"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("tRUE", "tRUE"),
        ("none", "none"),
        ("1e", "1e"),
        ("'5'", "5"),
        ('"true"', "true"),
        ('"☃ \\u2603"', "☃ ☃"),
        ('"\\ud83d\\ude00"', "😀"),
        ("|\n    a\n    b\n", "a\nb\n"),
    ],
)
def test_a_scalar_has_the_type_of_the_core_schema(text: str, expected: object) -> None:
    found = value(f"k: {text}")
    assert found == {"k": expected}
    assert type(found["k"]) is type(expected)


def test_not_a_number_is_read() -> None:
    found = value("k: .nan")
    assert isinstance(found, dict)
    assert math.isnan(found["k"])


def test_nested_lists_and_mappings_keep_their_order() -> None:
    assert value("b: [1, {c: d}, [e]]\na:\n  - f\n  - g: h\n") == {"b": [1, {"c": "d"}, ["e"]], "a": ["f", {"g": "h"}]}


def test_places_are_those_of_keys_and_values() -> None:
    document = read_yaml("a: 1\nbb:\n  - x\n  - {c: y}\n")
    assert document.place(("a",)) == Place(1, 4)
    assert document.place(("a",), of_key=True) == Place(1, 1)
    assert document.place(("bb", 0)) == Place(3, 5)
    assert document.place(("bb", 1, "c")) == Place(4, 9)
    assert document.place(("bb", 1, "c"), of_key=True) == Place(4, 6)


def test_a_key_that_is_absent_has_the_place_of_its_parent() -> None:
    document = read_yaml("a: 1\nbb:\n  c: 2\n")
    assert document.place(("bb", "d", "e")) == Place(2, 1)
    assert document.place(("zz",)) == Place(1, 1)


def test_an_alias_repeats_what_its_anchor_holds() -> None:
    assert value("a: &x [1, 2]\nb: *x\nc: {d: *x}") == {"a": [1, 2], "b": [1, 2], "c": {"d": [1, 2]}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", "3:1: a: is given twice; the first is in line 1"),
        ("a: {b: 1, b: {c: 2}}", "1:11: a.b: is given twice; the first is in line 1"),
        ("a: !!str 5", "1:4: a: tags (!…) are not read; leave it out"),
        ("a: !!python/object/apply:os.system [id]", "1:4: a: tags (!…) are not read; leave it out"),
        ("b: &b {c: 1}\na:\n  <<: *b", "3:3: a: merge keys (<<) belong to YAML 1.1; write it out"),
        ("a: " + "9" * 5000, "1:4: a: is a number of more than 40 digits; quote it if it is text"),
        ("a: 1e999", "1:4: a: is a number beyond what a float holds"),
        ('a: "\\ud800"', "1:4: a: holds half a character (a lone surrogate)"),
        ('a: "\\0"', "1:4: a: holds the character NUL, which no text of PostgreSQL may hold"),
    ],
    ids=lambda text: text[:20],
)
def test_reading_goes_on_after_a_fault_of_one_value(text: str, expected: str) -> None:
    assert sole_fault(text) == expected
    assert read_yaml(text).readable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a: b\n\xff", "2:1: the file is not valid UTF-8 here"),
        ("a: ok\nbc: é\n".encode("utf-16"), "1:1: the file is not valid UTF-8 here"),
        (b"a: b\nc\x00: d", "2:2: the character U+0000 is not allowed in a YAML file"),
        ("a: \ud800", "1:4: the character U+D800 is not allowed in a YAML file"),
        ("a: 1\n---\nb: 2", "2:1: a second document starts here; one file, one pipeline"),
        ("? [a]\n: b", "1:3: a list or mapping cannot be a key; quote a text that starts with [ or {"),
        ("a: &x [*x]", "1:8: a[0]: the alias *x names nothing complete above it"),
        ("a: *x", "1:4: a: the alias *x names nothing complete above it"),
        ("a: &x b\n*x : c", "2:1: an alias cannot be a key"),
        ('a: "\\UFFFFFFFF"', "1:7: is not valid YAML: an escape or a number is out of range"),
        ("cron: * * * * *", "1:8: is not valid YAML: expected alphabetic or numeric character, but found ' '"),
        ("a: b: c", "1:5: is not valid YAML: mapping values are not allowed here"),
        (
            "b: 1\na: [b\n",
            "3:1: is not valid YAML: expected ',' or ']', but got '<stream end>' "
            "while parsing a flow sequence that begins in line 2",
        ),
        ("a: @b", "1:4: is not valid YAML: found character '@' that cannot start any token"),
        ("a:\n\tb: c", "2:1: is not valid YAML: found character '\\t' that cannot start any token"),
    ],
    ids=lambda text: repr(text)[:20],
)
def test_reading_ends_at_what_is_no_yaml(text: str | bytes, expected: str) -> None:
    document = read_yaml(text)
    assert str(document.faults[-1]).startswith(expected)
    assert not document.readable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[" * 100_000, "is nested more than 50 levels deep"),
        ("- " * 100_000, "is nested more than 50 levels deep"),
        ("{a: " * 100_000, "is nested more than 50 levels deep"),
        ("- 1\n" * 100_000, "the file holds more than 20,000 values"),
        ("x" * (FILE_BYTES + 1), "the file is larger than 1,000,000 bytes"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)),
            "the file holds more than 20,000 values",
        ),
        (f"a: &a {'x' * 500_000}\nb: [{'*a,' * 1000}]", "the file holds more than 20,000 values"),
    ],
    ids=["brackets", "dashes", "braces", "items", "bytes", "laughs", "long-text-repeated"],
)
def test_huge_files_are_refused_in_seconds(text: str, expected: str) -> None:
    started = time.process_time()
    fault = sole_fault(text)
    assert expected in fault
    assert time.process_time() - started < 10


def test_an_empty_file_holds_nothing() -> None:
    assert read_yaml(b"") == Document(None, True, (), {}, {})
    assert read_yaml(b"# only a comment\n").value is None


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm() -> None:
    document = read_yaml(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert document.value == {"a": 1, "b": 2}
    assert document.place(("b",), of_key=True) == Place(2, 1)
