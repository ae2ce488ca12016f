"""The comparison of two runs as one HTML file: styles inside, no script, nothing that is fetched."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ops.compare_rows import answer, asked, figures, told
from pipeline.comparison import Comparison, Result, place_in, word_diff

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } th, td { text-align: left; padding: .2rem 1.5rem .2rem 0 }
article { border-left: .25rem solid #8888; margin: 1rem 0; padding-left: 1rem; white-space: pre-wrap }
h3, p { margin: 0; font-size: 1rem } small { color: GrayText }
ins, .added { background: #2da44e33 } del, .dropped { background: #cf222e33 }
"""
_TAGS = {"equal": "{}", "delete": "<del>{}</del>", "insert": "<ins>{}</ins>"}


def page(run_a: str, run_b: str, comparison: Comparison) -> str:
    """The whole page."""
    title = f"{escape(run_a)} and {escape(run_b)}"
    rows = "".join(_row("td", row) for row in figures(comparison.before, comparison.after))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n<style>{_STYLE}</style>\n'
        f"<h1>{title}</h1>\n<p>{escape(told(comparison))}</p>\n"
        f"<table>{_row('th', ('', run_a, run_b))}{rows}</table>\n"
        + _section("Answered otherwise", (_pair(*pair) for pair in comparison.changed))
        + _section("Dropped", (_single("dropped", result) for result in comparison.dropped))
        + _section("Added", (_single("added", result) for result in comparison.added))
    )


def _row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _section(title: str, articles: Iterable[str]) -> str:
    content = "".join(articles)
    return f"<h2>{title}</h2>\n{content}" if content else ""


def _article(kind: str, place: str, question: str, text: str) -> str:
    return f'<article class="{kind}"><h3>{question}</h3><p>{text}</p><small>{escape(place)}</small></article>\n'


def _single(kind: str, result: Result) -> str:
    return _article(kind, place_in(result), escape(asked(result)), escape(answer(result)))


def _pair(before: Result, after: Result) -> str:
    texts = [_marked(of(before), of(after)) for of in (asked, answer)]
    return _article("changed", place_in(before), *texts)


def _marked(before: str, after: str) -> str:
    return "".join(_TAGS[op].format(escape(text)) for op, text in word_diff(before, after))
