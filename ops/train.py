"""Commands that train what the package comes with; they need the repository and its development packages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import RagError

app = typer.Typer(no_args_is_help=True, help="Train the models that come with the package.")
Data = Annotated[Path, typer.Option(help="folder with train, train_extra and dev (.jsonl.gz)")]
Out = Annotated[Path, typer.Option(help="file to write")]
Seed = Annotated[int, typer.Option(help="the same seed gives the same bytes")]
MODELS = Path(__file__).parents[1] / "pipeline" / "models"


@app.callback()
def train() -> None:
    """Train the models that come with the package."""


@app.command()
def questions(data: Data, out: Out = MODELS / "questions.bin", seed: Seed = 1) -> None:
    """Train the linear question model, in some minutes; prints the thresholds of its profiles."""
    with _in_a_checkout():
        from bench.train_questions import write_model
    for lang, table in write_model(data, out, seed).items():
        print(lang, " ".join(f"{profile}={threshold:g}" for profile, threshold in table.thresholds.items()))


@app.command()
def sentences(data: Data, out: Out = MODELS / "sentences.bin", seed: Seed = 1) -> None:
    """Train the sentence model, in some minutes; prints how well it finds ends, by source."""
    with _in_a_checkout():
        from bench.train_sentences import show, write_model
    show(write_model(data, out, seed), data, seed)


@contextmanager
def _in_a_checkout() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as exc:
        raise RagError(
            f"Training needs {exc.name}: run it in a checkout of the repository, after `make test` has built .venv."
        ) from exc
