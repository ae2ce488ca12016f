"""Commands for the database of results."""

from __future__ import annotations

import asyncio
import os
import time

import typer

from ops.processes import print_line
from ops.surroundings import check_kafka_is_named
from pipeline.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The database with the results of the bulk lane.")


@app.callback()
def results() -> None:
    """The database with the results of the bulk lane."""


@app.command()
def rebuild() -> None:
    """Drop all results and build them again from the topics; stop the results workers first."""
    from ops.rebuild import rebuild as build

    settings = Settings.from_env(os.environ)
    check_kafka_is_named(settings, "results rebuild")
    began = time.monotonic()
    built = asyncio.run(build(settings, print_line))
    seconds = time.monotonic() - began
    print(f"rebuilt from {built.answers} answers, {built.texts} texts, {built.tasks} tasks in {seconds:.1f} s")
