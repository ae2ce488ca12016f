"""The suite's outcome as a table: a row a case, a column a provider."""

from __future__ import annotations

from collections.abc import Iterable

MARKS = {"passed": "+", "failed": "FAIL", "skipped": "skip"}


def table(outcomes: Iterable[tuple[str, str]]) -> list[str]:
    r"""Lines of the table, none where nothing ran; a blank is what a provider's server cannot show.

    >>> print("\n".join(table([("a|says so", "passed"), ("b|says so", "failed"), ("b|stops", "passed")])))
    case     a  b
    says so  +  FAIL
    stops       +

    Args:
        outcomes: `provider|case` and outcome of each.
    """
    found: dict[str, dict[str, str]] = {}
    for name, outcome in outcomes:
        provider, _, case = name.partition("|")
        found.setdefault(case, {})[provider] = MARKS.get(outcome, outcome)
    providers = list(dict.fromkeys(provider for row in found.values() for provider in row))
    lines = [["case", *providers]]
    lines += [[case, *(row.get(provider, "") for provider in providers)] for case, row in found.items()]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return shown if found else []
