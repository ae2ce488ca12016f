"""The database of the settings: a SQLite file, or PostgreSQL; opened with its tables up to date."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import SQLAlchemyError

from pipeline.errors import ConfigurationError, RagError
from pipeline.settings import Settings

FILE = "results.db"
BUSY = 30.0  # seconds that a writer waits for another one
_LOCK = 727169001  # of PostgreSQL, any number that nobody else takes


class StorageError(RagError):
    """The database does not do what is asked of it; the message says where it is."""


def url_of(settings: Settings) -> sa.URL:
    """Where results are kept.

    Raises:
        ConfigurationError: DATABASE_URL is none, or of another database than PostgreSQL and SQLite.
    """
    if not settings.database_url:
        return sa.URL.create("sqlite", database=str(settings.batch_storage_path / FILE))
    try:
        url = sa.make_url(settings.database_url)
    except SQLAlchemyError as exc:
        raise ConfigurationError("DATABASE_URL is no address such as postgresql://user:password@host/name.") from exc
    kind = url.drivername.partition("+")[0]
    if kind in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and url.database:
        return url
    raise ConfigurationError(f"DATABASE_URL begins with {kind}://; it can be postgresql:// or sqlite:///path.")


def open_engine(settings: Settings) -> sa.Engine:
    """A connected engine with all tables.

    Raises:
        ConfigurationError: the address is wrong, or its folder cannot be written.
        StorageError: the database does not answer or refuses.
    """
    url = url_of(settings)
    if url.get_backend_name() == "sqlite":
        _make_folder(Path(url.database or ""))
        engine = sa.create_engine(url, connect_args={"timeout": BUSY})
        sa.event.listen(engine, "connect", _set_up_sqlite)
    else:
        engine = sa.create_engine(url, pool_pre_ping=True)
    with told(engine):
        _migrate(engine)
    return engine


@contextmanager
def told(engine: sa.Engine) -> Iterator[None]:
    """Errors of the database as one of ours, with its address."""
    try:
        yield
    except SQLAlchemyError as exc:
        reason = str(getattr(exc, "orig", None) or exc).strip().partition("\n")[0]
        raise StorageError(f"The database {engine.url.render_as_string()} failed: {reason}") from exc


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.with_suffix(".lock").open("a"):
            pass
    except OSError as exc:
        where = f"{file.parent} ({exc.strerror})"
        raise ConfigurationError(f"Cannot write into BATCH_STORAGE_PATH={where}. Choose another or allow it.") from exc


def _set_up_sqlite(connection: Any, _: Any) -> None:
    """WAL: readers and the writer do not wait for each other."""
    connection.execute("PRAGMA journal_mode=WAL")


def _migrate(engine: sa.Engine) -> None:
    """Take the steps that are missing; processes that start at the same time do it one after the other."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    with _alone(engine), engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[None]:
    if engine.dialect.name != "sqlite":
        yield
        return
    with Path(engine.url.database or "").with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
