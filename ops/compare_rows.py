"""What is shown of two runs, in words and figures, on the terminal and on the page."""

from __future__ import annotations

from ops.dlq import printable
from pipeline.comparison import Comparison, Result, Summary


def told(comparison: Comparison) -> str:
    """What differs, in one line."""
    dropped, added, changed = len(comparison.dropped), len(comparison.added), len(comparison.changed)
    return f"{dropped} questions dropped, {added} added, {changed} answered otherwise, {comparison.same} the same"


def figures(before: Summary, after: Summary) -> list[tuple[str, str, str]]:
    """Rows of both runs' figures: what it is, the first run, the second."""
    rows = [
        ("answers", str(before.answers), str(after.answers)),
        ("failed", str(before.failed), str(after.failed)),
        ("first piece (p50, p95)", _seconds(before.first_piece), _seconds(after.first_piece)),
        ("whole answer (p50, p95)", _seconds(before.total), _seconds(after.total)),
    ]
    for name in sorted(before.usage.keys() | after.usage.keys()):
        rows.append((printable(name), f"{before.usage.get(name, 0):g}", f"{after.usage.get(name, 0):g}"))
    return rows


def _seconds(quantiles: tuple[float, float] | None) -> str:
    """Two times for a person.

    >>> _seconds((0.25, 1.5)), _seconds(None)
    ('0.25 s, 1.50 s', '-')
    """
    return "{:.2f} s, {:.2f} s".format(*quantiles) if quantiles else "-"


def asked(result: Result) -> str:
    """The question of a result; one that failed before it was one has none."""
    return str(result["question"] or "(no question)")


def answer(result: Result) -> str:
    """The answer of a result, or what went wrong."""
    text = str(result["content"] or "")
    return text if result["status"] == "completed" else f"{text} ({result['status']}: {result['error'] or ''})".strip()
