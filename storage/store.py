"""What is written to and read from the database. Calls block: an event loop makes them in a thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pipeline.batches import Task
from pipeline.settings import Settings
from storage.database import open_engine, told
from storage.redriven import set_aside
from storage.rows import Answered, Known, Row, Text, answer_of, events_json, items_of, row_of, settle, storable
from storage.tables import METADATA, RESULTS, TASKS, TEXTS

AT_ONCE = 500  # parameters of one statement that all databases take


class Counts(NamedTuple):
    """Items of a run that have a result, by how they ended."""

    completed: int
    failed: int


class Store:
    """Results, texts and tasks of one database, opened and up to date.

    Raises:
        RagError: as `open_engine`; every method raises StorageError when the database fails.
    """

    def __init__(self, settings: Settings) -> None:
        self.engine = open_engine(settings)

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    # -- projection ------------------------------------------------------------------------------

    def add(self, answered: Iterable[Answered]) -> set[str]:
        """Insert the results among some records of one partition, in their order; gives the runs that they are of.

        What is there already stays as it is, so records may be read again; but a failure whose dead letter was sent
        again gives its place to what came of that.
        """
        records = list(answered)
        rows = [row for row in map(row_of, records) if row is not None]
        with told(self.engine), self.engine.begin() as connection:
            if rows:
                known = _known(connection, {row["session"] for row in rows})
                connection.execute(self._insert(RESULTS).on_conflict_do_nothing(), settle(rows, known))
            mended = set_aside(connection, records)
        return {row["run"] for row in rows} | mended

    def add_texts(self, texts: Iterable[Text]) -> None:
        """Insert texts of items; what is there already stays as it is."""
        rows = [{"run": run, "item": item, "text": storable(text)} for run, item, text in texts]
        if rows:
            with told(self.engine), self.engine.begin() as connection:
                connection.execute(self._insert(TEXTS).on_conflict_do_nothing(), rows)

    def put_task(self, task: Task) -> None:
        """Insert a task, or replace what is known of it."""
        if task.created is None:
            return
        named = {"name": task.created.name, "status": task.status, "created_at": task.created.created_at}
        row = {"task": task.id, **named, "events": events_json(task.events)}
        changed = {name: value for name, value in row.items() if name != "task"}
        put = self._insert(TASKS).values(row).on_conflict_do_update(index_elements=["task"], set_=changed)
        with told(self.engine), self.engine.begin() as connection:
            connection.execute(put)

    def clear(self) -> None:
        """Empty every table."""
        with told(self.engine), self.engine.begin() as connection:
            for table in METADATA.sorted_tables:
                connection.execute(sa.delete(table))

    def _insert(self, table: sa.Table) -> Any:
        return (postgresql if self.engine.dialect.name == "postgresql" else sqlite).insert(table)

    # -- reading ---------------------------------------------------------------------------------

    def counts(self, run: str) -> Counts:
        """How many items of a run have a result."""
        by_status = (
            sa.select(RESULTS.c.item_status, sa.func.count())
            .where(RESULTS.c.run == run, RESULTS.c.item_status.is_not(None))
            .group_by(RESULTS.c.item_status)
        )
        with told(self.engine), self.engine.connect() as connection:
            found: dict[str, int] = {row[0]: row[1] for row in connection.execute(by_status)}
        return Counts(found.pop("completed", 0), sum(found.values()))

    def last_answer(self, run: str) -> float:
        """Time of a run's last result, seconds since 1970; 0 where there is none."""
        latest = sa.select(sa.func.max(RESULTS.c.answered_at)).where(RESULTS.c.run == run)
        with told(self.engine), self.engine.connect() as connection:
            return connection.execute(latest).scalar() or 0.0

    def items(self, run: str, span: range, missing: str) -> list[dict[str, Any]]:
        """Results of a span of items in their order; `missing` is the status of those without one."""
        if not span:
            return []
        within = sa.and_(RESULTS.c.run == run, RESULTS.c.item >= span.start, RESULTS.c.item < span.stop)
        rows = sa.select(RESULTS).where(within).order_by(RESULTS.c.item, *_PLACE)
        texts = sa.select(TEXTS.c.item, TEXTS.c.text).where(
            TEXTS.c.run == run, TEXTS.c.item >= span.start, TEXTS.c.item < span.stop
        )
        with told(self.engine), self.engine.connect() as connection:
            known = {row[0]: row[1] for row in connection.execute(texts)}
            found: Sequence[Row] = [dict(row) for row in connection.execute(rows).mappings()]
        return items_of(span, found, known, missing)

    def answers(self, run: str, first: int, count: int) -> tuple[list[dict[str, Any]], int]:
        """Answers of a run in the order of their time, from the `first` on; and how many there are in all."""
        mine = sa.and_(RESULTS.c.run == run, sa.or_(RESULTS.c.question.is_not(None), RESULTS.c.status == "failed"))
        rows = sa.select(RESULTS).where(mine).order_by(RESULTS.c.answered_at, RESULTS.c.session, *_PLACE)
        with told(self.engine), self.engine.connect() as connection:
            total = connection.execute(sa.select(sa.func.count()).select_from(RESULTS).where(mine)).scalar_one()
            found = connection.execute(rows.offset(first).limit(count)).mappings().all()
        return [answer_of(dict(row)) for row in found], total

    def dump(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Every table with its rows in the order of their keys, for comparing two databases."""
        with told(self.engine), self.engine.connect() as connection:
            for table in METADATA.sorted_tables:
                rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns)).mappings()
                yield table.name, [dict(row) for row in rows]


_PLACE = (RESULTS.c.source_offset, RESULTS.c.source_char)


def _known(connection: sa.Connection, sessions: set[str]) -> dict[str, Known]:
    """What the database knows of some sessions."""
    known: dict[str, Known] = {}
    ordered = sorted(sessions)
    for at in range(0, len(ordered), AT_ONCE):
        some = RESULTS.c.session.in_(ordered[at : at + AT_ONCE])
        found = sa.select(RESULTS.c.session, RESULTS.c.status, RESULTS.c.item_status).where(some)
        for session, status, item_status in connection.execute(found):
            before = known.get(session, Known())
            known[session] = Known(before.completed or item_status is not None, before.failed or status == "failed")
    return known
