"""Logging of every process: one line a record on stderr."""

from __future__ import annotations

import logging

from pipeline.secrets import redacted
from pipeline.settings import Settings

_OURS = ("agents", "gateway", "ops", "pipeline", "storage", "topics")
# Dozens of lines a rebalance or a start; at DEBUG some for every fetch.
_CHATTY = ("aiokafka", "alembic", "faust", "httpx", "mode")


def configure_logging(settings: Settings) -> None:
    """Log from LOG_LEVEL up, libraries that talk much from WARNING up. DEBUG is for our own modules alone."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    logging.basicConfig(level=max(level, logging.INFO))
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_news)
        handler.setFormatter(Discreet(settings))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    if settings.debug or level < logging.INFO:
        for name in _OURS:
            logging.getLogger(name).setLevel(logging.DEBUG)


class Discreet(logging.Formatter):
    """One line a record, tracebacks apart, without the keys of the settings."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._settings = settings

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        return redacted(self._settings, super().format(record))


def _is_news(record: logging.LogRecord) -> bool:
    """Faust's services say in the name of our modules whenever they start and stop, as `[^-Producer]: Starting...`."""
    return record.levelno > logging.INFO or not str(record.msg).startswith("[^")
