"""Every promise of docs/guarantees.md names tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.contract

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)))


def names_in(module: str) -> set[str]:
    """Names of the tests in the module of this file name."""
    (path,) = (ROOT / "tests").rglob(module)
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_a_test_that_the_page_names_is_there(module: str, name: str) -> None:
    assert name in names_in(module)


def test_every_promise_names_a_test() -> None:
    tables = PAGE.partition("## What is not promised")[0]
    rows = [line for line in tables.splitlines() if re.match(r"\| (?!promise)[^-|]", line)]
    assert len(rows) > 10
    assert [row for row in rows if "::" not in row] == []
