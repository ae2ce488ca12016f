"""The command that shows what the question detector thinks: of one sentence, and of many for measuring it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import RagError

app = typer.Typer(no_args_is_help=True, help="Ask the question detector.")


@app.callback()
def detector() -> None:
    """Ask the question detector."""


@app.command()
def score(
    file: Annotated[Path | None, typer.Argument(help="JSON lines with `text` and `lang`; default: stdin")] = None,
    model: Annotated[str, typer.Option(help="linear, onnx or cascade; the last two need the extra onnx")] = "linear",
    thresholds: Annotated[bool, typer.Option("--thresholds", help="print from which probability on is asked")] = False,
    verdict: Annotated[str | None, typer.Option(metavar="TEXT", help="explain the verdict on one sentence")] = None,
    lang: Annotated[
        str | None, typer.Option(help="of --verdict: zh, en, …; judged by the characters otherwise")
    ] = None,
) -> None:
    """Print a probability for each line, in order; or the thresholds; or what is thought of one sentence, and why."""
    from pipeline import questions

    try:
        if thresholds:
            print(" ".join(f"{name}={value:g}" for name, value in questions.thresholds(model=model).items()))
        elif verdict is not None:
            found = questions.detect(verdict, lang=lang, model=model)
            answer = "question" if found.is_question else "no question"
            print(f"{answer} · {found.score:.3f} · {found.reason} · {found.model}")
        else:
            _score(sys.stdin.buffer if file is None else _lines(file), model)
    except ValueError as exc:
        raise RagError(str(exc)) from exc


def _score(lines: Iterable[bytes], model: str) -> None:
    from pipeline.questions import score_lines

    for probability in score_lines(lines, model):
        print(f"{probability:.6f}")


def _lines(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().splitlines()
    except OSError as exc:
        raise RagError(f"{file} cannot be read: {exc.strerror}. Give a file of JSON lines.") from exc
