"""What was sent again from the dead letters: its second try counts instead of the failure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from storage.rows import REDRIVEN, Answered, Row, item_statuses, storable
from storage.tables import RESULTS
from topics.sources import Source


def set_aside(connection: sa.Connection, answered: Iterable[Answered]) -> set[str]:
    """Set the failures aside that these records are second tries of, and settle their items; gives the runs.

    Done again it changes nothing, so records may be read again.
    """
    runs = set()
    for public_id in {record.redrive_of for record in answered if record.redrive_of}:
        session, _, source = public_id.rpartition("/")
        rows = _rows(connection, storable(session))
        failed = next((row for row in rows if _place(row) == source and row["status"] in ("failed", REDRIVEN)), None)
        if failed is None:
            continue
        failed["status"] = REDRIVEN
        _update(connection, failed, status=REDRIVEN)
        runs.add(failed["run"])
        for row, status in zip(rows, item_statuses(rows), strict=True):
            if row["item_status"] != status:
                _update(connection, row, item_status=status)
    return runs


def _rows(connection: sa.Connection, session: str) -> list[Row]:
    """Those of a session in the order of the log."""
    mine = sa.select(RESULTS).where(RESULTS.c.session == session)
    found = connection.execute(mine.order_by(RESULTS.c.source_offset, RESULTS.c.source_char))
    return [dict(row) for row in found.mappings()]


def _place(row: Row) -> str:
    return str(Source(row["source_offset"], row["source_char"]))


def _update(connection: sa.Connection, row: Row, **values: Any) -> None:
    mine = sa.and_(*(column == row[column.name] for column in RESULTS.primary_key.columns))
    connection.execute(sa.update(RESULTS).where(mine).values(values))
