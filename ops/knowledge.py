"""Searching the knowledge from the command line: a question in, passages with their citations out."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from pipeline.settings import Settings


def search(
    question: Annotated[str, typer.Argument(help="as somebody would ask it")],
    limit: Annotated[int, typer.Option(min=1, max=50, help="passages at most")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a passage")] = False,
) -> None:
    """Show what the documents hold about a question, best first; `realtime-rag index` makes the index."""
    from pipeline.providers import citation, look_up, open_knowledge

    found = look_up(open_knowledge(Settings.from_env(os.environ)), question, limit)
    if as_json:
        print("\n".join(json.dumps(passage, ensure_ascii=False) for passage in found))
        return
    if not any(passage["answers"] for passage in found):
        print("No answer found." + (" What comes nearest:" if found else ""))
    for passage in found:
        print(f"\n{citation(passage)}\n" + "\n".join(f"    {line}" for line in passage["text"].splitlines()))
