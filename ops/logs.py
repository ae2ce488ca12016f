"""Logging of every process: one line a record on stderr."""

from __future__ import annotations

import logging

from pipeline.settings import Settings


def configure_logging(settings: Settings) -> None:
    """One line a record on stderr. DEBUG is for our own modules: those below log every fetch."""
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    logging.basicConfig(level=max(level, logging.INFO), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if settings.debug or level < logging.INFO:
        for package in ("agents", "gateway", "ops", "pipeline"):
            logging.getLogger(package).setLevel(logging.DEBUG)
