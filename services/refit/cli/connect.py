"""Whether what a file talks to is there and lets it in: `refit check --connect`."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from refit.cli.failure import describe
from refit.cli.words import count, plural
from refit.core.errors import RefitError

if TYPE_CHECKING:
    from refit.core.config import Pipeline
    from refit.core.domain import Failure
    from refit.core.store import ObjectStore


@dataclass(frozen=True)
class Tried:
    """One thing that a run needs.

    Attributes:
        text: What was found; of a failure its message.
        failure: None when a run could use it.
    """

    what: str
    text: str
    failure: "Failure | None" = None


def connected(pipeline: "Pipeline", open_root: "Callable[[], ObjectStore]") -> Iterator[Tried]:
    """Store and database in turn; the second is tried also when the first cannot be used."""
    tries: tuple[tuple[str, Callable[[], str]], ...] = (
        ("store", lambda: _store(pipeline, open_root())),
        ("database", lambda: _database(pipeline)),
    )
    for what, attempt in tries:
        try:
            yield Tried(what, attempt())
        except RefitError as error:
            failure = describe(error)
            yield Tried(what, failure.message, failure)


def _store(pipeline: "Pipeline", root: "ObjectStore") -> str:
    """Raises ConditionsIgnored, AccessError, DependencyError; ArtifactError where a run would refuse what is there."""
    from refit.core.probe import probe
    from refit.core.runs import run_ids
    from refit.core.whole import refuse_incomplete

    probe(root, now=datetime.now(UTC))
    store = root.under(f"{pipeline.name}/")
    refuse_incomplete(store)
    runs = sum(1 for _ in run_ids(store))
    return f"{root.url} takes conditional writes; {plural(runs, 'run')} of {pipeline.name}"


def _database(pipeline: "Pipeline") -> str:
    """Raises what extract would before it reads a row."""
    from refit.extract.database import open_database, read_dsn
    from refit.extract.describe import describe as columns_of
    from refit.extract.estimate import estimated_rows
    from refit.extract.statement import statement

    source = pipeline.source
    query = statement(source.query)
    with open_database(read_dsn(os.environ), f"refit/{pipeline.name}/check", source.statement_timeout) as database:
        columns = columns_of(database, query, pipeline)
        rows = estimated_rows(database, query)
    return f"the query gives {plural(len(columns), 'column')} and, by EXPLAIN, about {count(rows)} rows"
