"""How many rows a statement would give, as PostgreSQL's planner thinks."""

from refit.extract.database import Database


def estimated_rows(database: Database, select: str) -> int:
    """Rows by EXPLAIN, which runs nothing.

    Raises:
        RefitError: as the database's other statements.
    """
    found, _ = database.fetch(f"EXPLAIN (FORMAT JSON)\n{select}", "explain")
    return int(found[0][0][0]["Plan"]["Plan Rows"])
