"""The failure block, and the next step that can be typed."""

import pytest

from refit.cli.failure import CLASS_WORDS, block, completed, describe
from refit.core.domain import Failure
from refit.core.errors import ConfigError, RefitError
from refit.core.store import Conflict


def failure(**fields: object) -> Failure:
    given: dict[str, object] = {
        "error_class": "data",
        "type": "ColumnGone",
        "step": "extract",
        "exit_code": 65,
        "message": 'column "temp" is gone\nexpected  temp: float\nfound     flight_id, late',
        "next": "add the column or take it out of the file",
    }
    return Failure(**given | fields)


def test_the_block_tells_what_what_was_expected_what_production_does_what_next_and_the_code() -> None:
    shown = block(failure(next="refit run refit.yaml"), champion="v1 stays in production, 8 days old")
    assert shown.splitlines() == [
        'failed in extract: column "temp" is gone',
        "  expected  temp: float",
        "  found     flight_id, late",
        "  champion  v1 stays in production, 8 days old",
        "  next      refit run refit.yaml",
        "exit 65 (the data breaks its contract, not retried)",
    ]


def test_what_is_not_known_has_no_line() -> None:
    shown = block(failure(step=None, message="boom", next=""))
    assert shown.splitlines() == ["failed: boom", "exit 65 (the data breaks its contract, not retried)"]


def test_a_superseded_run_did_not_fail() -> None:
    shown = block(failure(error_class="superseded", step="publish", exit_code=79, message="the champion was moved"))
    assert shown.startswith("superseded in publish: the champion was moved")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "add the column or take it out of the file, then:  refit run my.yaml"),
        ({"next": ""}, "refit run my.yaml"),
        ({"next": "refit run FILE"}, "refit run my.yaml"),
        ({"next": "look at refit runs NAME"}, "look at refit runs loans"),
        ({"step": None, "next": "name another file"}, "name another file"),
        ({"error_class": "killed", "next": ""}, "refit run my.yaml"),
        ({"error_class": "killed", "next": "nothing was published"}, "nothing was published"),
        ({"error_class": "bug", "next": "please report it"}, "please report it"),
        ({"error_class": "superseded", "next": "nothing: the other run goes on"}, "nothing: the other run goes on"),
    ],
    ids=["then-run", "run", "file", "name", "no-step", "killed", "killed-said", "bug", "superseded"],
)
def test_the_next_step_can_be_typed_as_it_stands(fields: dict[str, object], expected: str) -> None:
    assert completed(failure(**fields), "my.yaml", "loans").next == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "add the column or take it out of the file, then:  refit rerun loans 20130405t000000-k3fw --file my.yaml"),
        (
            {"error_class": "disk", "next": "make room"},
            "make room, then:  refit rerun loans 20130405t000000-k3fw",
        ),
        ({"error_class": "killed", "next": "refit rerun NAME"}, "refit rerun loans"),
    ],
    ids=["file", "not-the-file", "named"],
)
def test_a_run_that_failed_is_repeated_with_the_file_where_that_may_be_what_is_repaired(
    fields: dict[str, object], expected: str
) -> None:
    assert completed(failure(**fields), "my.yaml", "loans", "20130405t000000-k3fw").next == expected


def test_a_file_with_blanks_in_its_name_is_quoted() -> None:
    assert completed(failure(next="refit run FILE"), "my file.yaml", None).next == "refit run 'my file.yaml'"


@pytest.mark.parametrize(
    ("error", "code", "error_class"),
    [
        (ConfigError("x"), 64, "config"),
        (Conflict("refs/champion.json"), 79, "superseded"),
        (KeyboardInterrupt(), 143, "killed"),
        (MemoryError(), 137, "oom"),
        (OSError(28, "No space left on device", "x"), 74, "disk"),
        (ModuleNotFoundError("No module named 'pandas'", name="pandas"), 64, "config"),
        (ModuleNotFoundError("No module named 'refit.x'", name="refit.x"), 70, "bug"),
        (KeyError("x"), 70, "bug"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_exception_has_a_class_and_a_code(error: BaseException, code: int, error_class: str) -> None:
    described = describe(error)
    assert (described.exit_code, described.error_class) == (code, error_class)
    assert described.error_class in CLASS_WORDS


def test_every_class_of_error_has_words() -> None:
    kinds = {kind.error_class for kind in _all(RefitError)}
    assert kinds <= set(CLASS_WORDS)


def _all(kind: type[RefitError]) -> list[type[RefitError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in _all(child))]
