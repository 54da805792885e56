"""What a search tried, in the order and to the scale of the report."""

from typing import Any

import pytest

from refit.core.domain import Combination, SearchTable, Trial
from refit.evaluate.report import template
from refit.evaluate.trials import SHOWN, search_facts


def tried(number: int, *means: float, std: float = 0.01, failure: str = "", **params: Any) -> Combination:
    trials = tuple(Trial(round=place, mean=mean, std=std, seconds=2.0) for place, mean in enumerate(means, 1))
    return Combination(number=number, params=params, trials=trials, failure=failure)


def table(*combinations: Combination, chosen: int = 0, rows: tuple[int, ...] = (900,)) -> SearchTable:
    return SearchTable(
        scoring="neg_log_loss", folds=5, rows=rows, chosen=chosen, chosen_in=len(rows), combinations=combinations
    )


def test_what_was_taken_stands_first_then_those_that_came_furthest() -> None:
    facts = search_facts(
        table(
            tried(0, -0.5, -0.45),
            tried(1, -0.3, C=1),
            tried(2, -0.4, -0.41, C=2),
            tried(3, -0.4, -0.40, C=3),
            chosen=3,
            rows=(300, 900),
        )
    )
    assert facts.columns == ("C",)
    assert [one.cells for one in facts.shown] == [("3",), ("2",), ("the file's own",), ("1",)]
    assert [one.rows for one in facts.shown] == [900, 900, 900, 300]
    assert [one.is_chosen for one in facts.shown] == [True, False, False, False]


def test_means_lie_on_one_scale_with_a_standard_deviation_to_both_sides() -> None:
    first, second = search_facts(table(tried(0, -0.2, std=0.1), tried(1, -0.6, std=0.1), chosen=0)).shown
    assert (first.low, first.middle, first.high) == pytest.approx((2 / 3, 5 / 6, 1))
    assert (second.low, second.middle, second.high) == pytest.approx((0, 1 / 6, 1 / 3))


def test_one_that_tells_nothing_apart_is_drawn_too() -> None:
    (one,) = search_facts(table(tried(0, -0.2, std=0.0))).shown
    assert (one.low, one.middle, one.high) == (0, 0, 0)


def test_failures_and_what_was_not_tried_are_counted() -> None:
    many = [tried(number, -0.1 * number, C=number, s="y") for number in range(1, 30)]
    bad, left = tried(30, failure="no such solver", C=1, s="x"), tried(31, C=31, s="y")
    facts = search_facts(table(tried(0, -9.0), *many, bad, left))
    assert len(facts.shown) == SHOWN
    assert facts.columns == ("C", "s")
    assert facts.shown[0].cells == ("the file's own", "–")
    assert facts.left_out == 30 - SHOWN
    assert (facts.failures, facts.failed, facts.untried) == ((("C = 1, s = x", "no such solver"),), 1, 1)


def test_many_parameters_stand_in_one_column() -> None:
    facts = search_facts(table(tried(0, -0.4), tried(1, -0.5, a=1, b=2, c=3, d=4, e=None)))
    assert facts.columns == ("parameters",)
    assert [one.cells for one in facts.shown] == [("the file's own",), ("a = 1, b = 2, c = 3, d = 4, e = None",)]


def test_the_page_escapes_what_a_parameter_says() -> None:
    source = template().environment.loader
    assert source is not None
    facts = search_facts(table(tried(0, -0.4), tried(1, failure="<b>", x="<script>")))
    text = source.get_source(template().environment, "report.html.j2")[0]
    start, end = text.index("{% if search %}"), text.index("{% if facts.warnings %}")
    page = template().environment.from_string(text[start:end]).render(search=facts, width=320)
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "&lt;b&gt;" in page
    assert page.count("<svg") == 1
