"""The tables: results by session and source, texts of items, tasks. What they mean; their making is `migrations`."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

# A row for each answered question. `item_status` is set in the one row of a session that completes it: the answer of a
# text that was asked, or the end of one in which questions were looked for (that row has no question).
RESULTS = sa.Table(
    "results",
    METADATA,
    sa.Column("session", sa.String, primary_key=True),
    sa.Column("source_offset", sa.BigInteger, primary_key=True),
    sa.Column("source_char", sa.Integer, primary_key=True),
    sa.Column("run", sa.String, nullable=False),
    sa.Column("item", sa.Integer),
    sa.Column("status", sa.String(9), nullable=False),
    sa.Column("item_status", sa.String(9)),
    sa.Column("question", sa.Text),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),  # found, provider, sources, usage, timings, replay_of
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("answered_at", sa.Float, nullable=False),  # seconds since 1970, as the log says
    sa.Index("results_of_item", "run", "item"),
    sa.Index(
        "results_counted",
        "run",
        "item_status",
        sqlite_where=sa.text("item_status IS NOT NULL"),
        postgresql_where=sa.text("item_status IS NOT NULL"),
    ),
)

TEXTS = sa.Table(
    "texts",
    METADATA,
    sa.Column("run", sa.String, primary_key=True),
    sa.Column("item", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
)

TASKS = sa.Table(
    "tasks",
    METADATA,
    sa.Column("task", sa.String, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("status", sa.String(9), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("events", sa.JSON, nullable=False),  # the last of each kind
)
