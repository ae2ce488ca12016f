"""What every provider keeps, whatever it asks; each function is a case, its name the row of the table."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from dataclasses import replace

from ops.contract.subjects import KEY, Stand, bare, is_said, items_of, keep
from pipeline.providers import End, Provider, Turn
from pipeline.providers.usage import NOTHING

AT_ONCE = 20  # answers
AT_ONCE_WITHIN = 1.0  # seconds for closing


async def is_a_provider_and_says_its_name(stand: Stand) -> None:
    """It has the methods, and answers bear its name."""
    provider, name = await stand.open(), stand.subject.provider or stand.subject.name
    keep(isinstance(provider, Provider), "inherit from pipeline.providers.Provider")
    keep(provider.name == name, f"it calls itself {provider.name!r}, not {name!r}")
    _, end = await stand.told(provider)
    keep(end.provider in name.split(","), f"the answer says it is by {end.provider!r}")


async def streams_pieces_and_then_exactly_one_end(stand: Stand) -> None:
    """Text first, none of it empty, and nothing after the end."""
    items = await items_of(bare(await stand.open()).stream(stand.subject.question))
    keep(len(items) > 1, "there was no text before the end")
    keep(all(is_said(item) for item in items[:-1]), "before the end stands what is no text, or is empty")
    last = items[-1]
    keep(isinstance(last, End), f"the last item is {type(last).__name__}, no End")
    keep(isinstance(last, End) and last.found, "it found nothing: give the suite a question that it can answer")


async def says_its_sources_by_number_and_title(stand: Stand) -> None:
    """Numbered from 1 in a row."""
    _, end = await stand.told(await stand.open())
    numbers = [source.get("n") for source in end.sources]
    keep(numbers == list(range(1, len(numbers) + 1)), f"the sources have the numbers {numbers}")
    keep(all(source.get("title") for source in end.sources), "a source has no title")


async def says_its_usage_in_one_form(stand: Stand) -> None:
    """All three counts, marked where they are estimated."""
    _, end = await stand.told(await stand.open())
    usage = end.usage or {}
    keep(all(isinstance(usage.get(name), int) and usage[name] >= 0 for name in NOTHING), f"the usage is {end.usage}")
    total = usage["prompt_tokens"] + usage["completion_tokens"]
    keep(usage["total_tokens"] == total, f"the counts do not add up: {usage}")
    keep((total == 0) == (stand.subject.counts == "nothing"), f"{total} tokens were used")
    if stand.subject.counts == "server":
        keep("estimated" not in usage, "what the server counted is marked as estimated")


async def says_nothing_that_cannot_be_stored(stand: Stand) -> None:
    """Sources and usage go to a topic as JSON."""
    end = (await items_of(bare(await stand.open()).stream(stand.subject.question)))[-1]
    try:
        json.dumps([end.sources, end.usage] if isinstance(end, End) else None, allow_nan=False)
    except (TypeError, ValueError) as exc:
        keep(False, f"its end is no JSON: {exc}")


async def answers_many_at_once_without_mixing_them(stand: Stand) -> None:
    """Each answer is that of a question alone."""
    provider = await stand.open()
    alone, _ = await stand.told(provider)
    together = await asyncio.gather(*(stand.told(provider) for _ in range(AT_ONCE)))
    keep({"".join(pieces) for pieces, _ in together} == {"".join(alone)}, "answers at once differ from one alone")


async def can_be_closed_in_the_middle_and_asked_again(stand: Stand) -> None:
    """Closing ends the work at once, and leaves nothing behind."""
    provider = await stand.open()
    async with aclosing(provider.stream(stand.subject.question)) as items:
        keep(is_said(await anext(items)), "the first item is no text")
        began = time.monotonic()
    keep(time.monotonic() - began < AT_ONCE_WITHIN, "it took more than a second to close")
    keep((await stand.told(provider))[0], "it says nothing any more")


async def takes_earlier_turns_passages_and_options_that_it_does_not_know(stand: Stand) -> None:
    """They are for those who can use them."""
    asked = replace(
        stand.subject.question,
        lang=None,
        context=(Turn("Is there anybody?", "Yes."),),
        options={"unheard_of": 3, "priority": 7},
        threads={"somebody-else": "c-1"},
        passages=({"n": 1, "title": "Note", "text": "A passage that was found elsewhere."},),
    )
    keep((await stand.told(await stand.open(), asked))[0], "it said nothing")


async def is_healthy(stand: Stand) -> None:
    """A health check says so and costs nothing."""
    keep(await (await stand.open()).health() is True, "health() is not True though it answers")
    keep(not stand.fakes.requests, "the health check asked a question")


async def shows_no_key(stand: Stand) -> None:
    """Not even to who looks at it."""
    provider = bare(await stand.open())
    keep(KEY not in repr(provider), "its key is in repr()")


CASES = (
    is_a_provider_and_says_its_name,
    streams_pieces_and_then_exactly_one_end,
    says_its_sources_by_number_and_title,
    says_its_usage_in_one_form,
    says_nothing_that_cannot_be_stored,
    answers_many_at_once_without_mixing_them,
    can_be_closed_in_the_middle_and_asked_again,
    takes_earlier_turns_passages_and_options_that_it_does_not_know,
    is_healthy,
    shows_no_key,
)
