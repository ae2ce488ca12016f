"""Texts on their way from a request to the topic: a bounded part of them is in memory."""

from __future__ import annotations

import pytest

from gateway.writing import AT_ONCE, CHARS_AT_ONCE, chunks, each

pytestmark = pytest.mark.unit


async def sizes(texts: list[str]) -> list[int]:
    return [len(some) async for some in chunks(each(texts))]


async def test_short_texts_go_many_at_once() -> None:
    assert await sizes(["How much?"] * (AT_ONCE + 1)) == [AT_ONCE, 1]


async def test_long_texts_go_few_at_once() -> None:
    assert await sizes(["a" * (CHARS_AT_ONCE // 2)] * 3) == [2, 1]


async def test_every_text_goes_once_in_its_order() -> None:
    texts = [f"{number} {'a' * (CHARS_AT_ONCE // 50)}" for number in range(120)]
    assert [text async for some in chunks(each(texts)) for text in some] == texts
    assert await sizes([]) == []
