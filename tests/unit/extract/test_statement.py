"""The user's query as one statement: what may stand in it and around it."""

import pytest

from refit.extract.statement import UnusableQuery, statement


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("SELECT 1", "SELECT 1", id="plain"),
        pytest.param("SELECT 1;", "SELECT 1", id="semicolon"),
        pytest.param("\n SELECT 1 ; ;\n-- done;\n", "\n SELECT 1", id="semicolons and comment"),
        pytest.param("SELECT 1 -- all of it", "SELECT 1", id="ends in a comment"),
        pytest.param("SELECT 1 /* a /* nested ; */ ( */", "SELECT 1", id="ends in a nested comment"),
        pytest.param("-- first\nSELECT 1", "-- first\nSELECT 1", id="begins with a comment"),
        pytest.param("SELECT ';', 'it''s;(' FROM t;", "SELECT ';', 'it''s;(' FROM t", id="semicolons in text"),
        pytest.param(r"SELECT E'\';' , 1;", r"SELECT E'\';' , 1", id="escaped text"),
        pytest.param(r"SELECT '\';", r"SELECT '\'", id="a backslash is plain in standard text"),
        pytest.param('SELECT "a;""b(" FROM t', 'SELECT "a;""b(" FROM t', id="quoted names"),
        pytest.param("SELECT $$;($$, $x$ $$;' $x$;", "SELECT $$;($$, $x$ $$;' $x$", id="dollar quotes"),
        pytest.param("SELECT a$b$c, (1) FROM t", "SELECT a$b$c, (1) FROM t", id="dollar in a name"),
        pytest.param("SELECT x % 2, '100%%' FROM t", "SELECT x % 2, '100%%' FROM t", id="percent"),
        pytest.param("WITH a AS (SELECT 1) SELECT * FROM a", "WITH a AS (SELECT 1) SELECT * FROM a", id="with"),
        pytest.param("VALUES (1, 2)", "VALUES (1, 2)", id="values"),
        pytest.param("TABLE t", "TABLE t", id="table"),
        pytest.param("(SELECT 1) UNION SELECT 2", "(SELECT 1) UNION SELECT 2", id="bracket first"),
        pytest.param("SELECT tablE, date'2020-01-01;'", "SELECT tablE, date'2020-01-01;'", id="name before text"),
        pytest.param("SELECT 'ä😀;' FROM größe;", "SELECT 'ä😀;' FROM größe", id="not ASCII"),
    ],
)
def test_statement_ends_with_its_last_word(query: str, expected: str) -> None:
    assert statement(query) == expected


@pytest.mark.parametrize(
    ("query", "words"),
    [
        pytest.param("SELECT 1; SELECT 2", "more than one statement", id="two"),
        pytest.param("SELECT 1; DROP TABLE t; --", "more than one statement", id="injected"),
        pytest.param("; SELECT 1", "begins with a semicolon", id="semicolon first"),
        pytest.param("-- nothing", "is empty", id="comment alone"),
        pytest.param("DELETE FROM t", "begins with delete; only a SELECT", id="delete"),
        pytest.param("SELECT 'open", "ends inside quotes", id="open text"),
        pytest.param(r"SELECT E'open\'", "ends inside quotes", id="open escaped text"),
        pytest.param('SELECT "open', "ends inside quotes", id="open name"),
        pytest.param("SELECT $x$ open $$", r"ends inside \$x\$ quotes", id="open dollar quotes"),
        pytest.param("SELECT 1 /* open /* */", "ends inside a comment", id="open comment"),
        pytest.param("SELECT (1", "does not close", id="open bracket"),
        pytest.param("SELECT 1) AS x --", "did not open", id="closed bracket"),
        pytest.param("SELECT 1\0", "NUL", id="NUL"),
    ],
)
def test_what_is_not_one_select_is_refused(query: str, words: str) -> None:
    with pytest.raises(UnusableQuery, match=words) as caught:
        statement(query)
    assert caught.value.exit_code == 64


def test_long_texts_take_linear_time() -> None:
    body = "SELECT '" + "''x" * 200_000 + "', (" + "1, " * 100_000 + "1)"
    assert statement(body + ";") == body
