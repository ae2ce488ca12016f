"""The comparison of two runs as one HTML file: styles inside, no script, nothing that is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ops.compare_rows import answer, asked, figures, told
from pipeline.comparison import Comparison, Result, place_in, word_diff

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
body { overflow-wrap: anywhere }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem } h3, p { margin: 0; font-size: 1rem }
table { border-collapse: collapse; margin-top: 1rem; overflow-wrap: normal }
th, td { text-align: left; vertical-align: bottom; padding: .25rem 1.5rem .25rem 0; border-bottom: 1px solid #8884 }
article { border-left: .25rem solid #8888; margin: 1.25rem 0; padding-left: 1rem; white-space: pre-wrap }
.added { border-color: #2da44e } .dropped { border-color: #cf222e } small { color: GrayText }
ins { background: #2da44e33; text-decoration: none } del { background: #cf222e33 }
"""
_TAGS = {"equal": "{}", "delete": "<del>{}</del>", "insert": "<ins>{}</ins>"}


def page(run_a: str, run_b: str, comparison: Comparison) -> str:
    """The whole page."""
    title = f"{escape(run_a)} → {escape(run_b)}"
    rows = "".join(_row("td", row) for row in figures(comparison.before, comparison.after))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{title}</title>\n<style>{_STYLE}</style>\n'
        f"<h1>{title}</h1>\n<p>{escape(told(comparison))}</p>\n"
        f"<table>{_row('th', ('', run_a, run_b))}{rows}</table>\n"
        + _section("Answered otherwise", [_pair(*pair) for pair in comparison.changed])
        + _section("Dropped", [_single("dropped", result) for result in comparison.dropped])
        + _section("Added", [_single("added", result) for result in comparison.added])
    )


def _row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _section(title: str, articles: Sequence[str]) -> str:
    return f"<h2>{title} ({len(articles)})</h2>\n{''.join(articles)}" if articles else ""


def _article(kind: str, place: str, question: str, text: str) -> str:
    return f'<article class="{kind}"><h3>{question}</h3><p>{text}</p><small>{escape(place)}</small></article>\n'


def _single(kind: str, result: Result) -> str:
    return _article(kind, place_in(result), escape(asked(result)), escape(answer(result)))


def _pair(before: Result, after: Result) -> str:
    texts = [_marked(of(before), of(after)) for of in (asked, answer)]
    return _article("changed", place_in(before), *texts)


def _marked(before: str, after: str) -> str:
    return "".join(_TAGS[op].format(escape(text)) for op, text in word_diff(before, after))
