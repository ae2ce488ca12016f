"""The contract suite of the providers as a table: a row a case, a column a provider."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CASE = re.compile(r"test_providers\.py::(?:\w+::)?test_(\w+)\[(.+)\]$")
_PROVIDER = re.compile(r"local|openai(-responses)?|context|dify-[a-z]+(-agent)?|custom-[a-z]+|serper|chain")
MARKS = {"passed": "+", "failed": "FAIL", "skipped": "skip"}


def table(results: Iterable[tuple[str, str]]) -> list[str]:
    """Lines of the table, none where no test of the suite ran.

    Args:
        results: node id and outcome of each test.
    """
    found: dict[str, dict[str, str]] = {}
    for node, outcome in results:
        named = _CASE.search(node)
        provider, _, case = named[2].partition("|") if named else ("", "", "")
        if named and _PROVIDER.fullmatch(provider):
            found.setdefault(case or named[1].replace("_", " "), {})[provider] = MARKS.get(outcome, outcome)
    providers = list(dict.fromkeys(provider for row in found.values() for provider in row))
    rows = [[case[:60], *(row.get(provider, "") for provider in providers)] for case, row in found.items()]
    lines = [["case", *providers], *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines if rows]
