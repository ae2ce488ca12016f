"""The first tables: results, texts, tasks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "results",
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
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("answered_at", sa.Float, nullable=False),
    )
    op.create_index("results_of_item", "results", ["run", "item"])
    counted = sa.text("item_status IS NOT NULL")
    op.create_index(
        "results_counted", "results", ["run", "item_status"], sqlite_where=counted, postgresql_where=counted
    )
    op.create_table(
        "texts",
        sa.Column("run", sa.String, primary_key=True),
        sa.Column("item", sa.Integer, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "tasks",
        sa.Column("task", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("status", sa.String(9), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("events", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop them; `realtime-rag results rebuild` fills new ones from the topics."""
    for name in ("tasks", "texts", "results"):
        op.drop_table(name)
