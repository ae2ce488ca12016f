"""Commands that show what the question detector thinks: of one sentence, and of many for measuring it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipeline.errors import RagError

app = typer.Typer(no_args_is_help=True, help="Ask the question detector.")


@app.command()
def judge(
    sentence: Annotated[str, typer.Argument(help="what somebody said")],
    lang: Annotated[str | None, typer.Option(help="zh, en, …; judged by the characters otherwise")] = None,
) -> None:
    """Say whether a sentence asks something, with score and reason."""
    from pipeline.questions import detect

    verdict = detect(sentence, lang=lang)
    print(f"{'question' if verdict.is_question else 'no question'} · {verdict.score:.3f} · {verdict.reason}")


@app.command()
def score() -> None:
    """Read JSON lines with `text` and `lang` from stdin; print a probability for each, in order."""
    from pipeline.questions import score_lines

    try:
        for probability in score_lines(sys.stdin.buffer):
            print(f"{probability:.6f}")
    except ValueError as exc:
        raise RagError(str(exc)) from exc


@app.command()
def thresholds() -> None:
    """Print the probability from which on a sentence is asked, by language."""
    from pipeline.questions import thresholds

    for lang, threshold in thresholds().items():
        print(f"{lang} {threshold:g}")
