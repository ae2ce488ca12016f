"""Parts of the documents that are made from the code, so that they cannot lie."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from pipeline.settings import Settings


def settings_table() -> str:
    """Every environment variable with its default and meaning, as a Markdown table."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for field in dataclasses.fields(Settings):
        default = str(field.default)
        shown = f"`{default}`" if default else ""
        rows.append(f"| `{field.name.upper()}` | {shown} | {field.metadata['help'].replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def with_part(document: str, name: str, content: str) -> str:
    r"""Put content between the marks `<!-- name -->` and `<!-- /name -->` of a document.

    >>> with_part("a <!-- x -->old<!-- /x --> b", "x", "new")
    'a <!-- x -->\nnew\n<!-- /x --> b'
    """
    marked = re.compile(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}\n{content}\n{found[2]}", document)


if __name__ == "__main__":
    readme = Path(__file__).parents[1] / "README.md"
    readme.write_text(with_part(readme.read_text(), "settings", settings_table()))
