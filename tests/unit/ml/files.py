"""Pipeline files and columns as tests of the model need them."""

from typing import Any

from refit.core.config import Pipeline, parse_pipeline
from refit.core.domain import Column
from tests.fixtures.records import file

COLUMNS = (
    Column(name="loan_id", database_type="bigint", type="int64"),
    Column(name="applied_at", database_type="timestamp with time zone", type="timestamp[us, tz=UTC]"),
    Column(name="amount", database_type="numeric", type="decimal128(12, 2)"),
    Column(name="age", database_type="integer", type="int32"),
    Column(name="owner", database_type="boolean", type="bool"),
    Column(name="city", database_type="text", type="string"),
    Column(name="opened_on", database_type="date", type="date32[day]"),
    Column(name="defaulted", database_type="boolean", type="bool"),
)


def pipeline(**sections: Any) -> Pipeline:
    """The least file that runs, with sections replaced."""
    return parse_pipeline(file(**sections), "refit.yaml")
