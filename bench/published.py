"""The vendors' published examples as they are: read by our providers, and held against the samples of the fakes.

Run: python -m bench.published --dify FOLDER --openai FOLDER [--answer serper=FILE] [--write FOLDER]

The folders are checkouts of github.com/langgenius/dify-docs and github.com/openai/openai-openapi: their texts are
theirs and do not lie here. What an example leaves out (`....`, `data:` before an event, the mark of the end) is filled
in as the document says elsewhere. A form is the events, the fields, their order and their types.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ops.contract.ours import settings_at
from ops.contract.subjects import KEY, Place
from ops.fakes import SAMPLES, Fakes, Reply, sample, serving
from pipeline.providers import Asked, Delta, End, ProviderError, build_provider

ASKS = {"serper": "serper", "openai-chat": "openai", "openai-responses": "openai"}  # the rest is Dify's


def dify(folder: Path) -> Iterator[tuple[str, str]]:
    """Samples' names and the published streams. They stand in one line there: a blank line parts events on the wire."""
    described = json.loads((folder / "en/api-reference/openapi_service.json").read_text(encoding="utf-8"))
    answers = described["paths"]["/chat-messages"]["post"]["responses"]["200"]["content"]
    for name, told in SAMPLES.items():
        if name.startswith("dify"):
            value = answers["text/event-stream"]["examples"][told.example]["value"]
            yield name, re.sub(r"\s+data: ", "\n\ndata: ", value.strip()) + "\n\n"


def openai(folder: Path) -> Iterator[tuple[str, str]]:
    """Samples' names and the published streams."""
    described = yaml.load((folder / "openapi.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    chunks = described["components"]["schemas"][SAMPLES["openai-chat"].example]["x-oaiMeta"]["example"]
    lines = [line for line in chunks.splitlines() if line.startswith("{")]
    yield "openai-chat", "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"])
    examples = described["paths"]["/responses"]["post"]["x-oaiMeta"]["examples"]
    [events] = [example["response"] for example in examples if example["title"] == "Streaming"]
    yield "openai-responses", re.sub(r"\n\.\.\.\n", "\n", events).strip() + "\n\n"


def forms(wire: str) -> list[Any]:
    """The form of each event, or of the one object."""
    if not wire.startswith(("data:", "event:")):
        return [form(json.loads(wire))]
    found = re.findall(r"(?:event: (\S+)\n)?data: (\{.*)", wire)
    return [(name, form(json.loads(data))) for name, data in found]


def form(value: Any) -> Any:
    """Fields in their order, and types in place of values."""
    if isinstance(value, dict):
        return [(name, form(inner)) for name, inner in value.items()]
    return [form(inner) for inner in value[:1]] if isinstance(value, list) else type(value).__name__


def stands_in(events: Iterable[Any], sampled: list[Any]) -> bool:
    """Whether events come in this order, perhaps with others between."""
    rest = iter(sampled)
    return all(event in rest for event in events)


def without_usage(events: list[Any]) -> list[Any]:
    """Chunks without the `usage: null` that the document says they have and its example leaves out."""
    return [(name, [field for field in fields if field[0] != "usage"]) for name, fields in events]


async def read(name: str, wire: str) -> str:
    """What our provider makes of it."""
    fakes = Fakes({"*": [Reply(wire=wire, content_type="" if name != "serper" else "application/json")]})
    with tempfile.TemporaryDirectory() as folder:
        async with serving(fakes) as url:
            settings = settings_at(Place(url, KEY, 5.0, Path(folder)), rag_provider=ASKS.get(name, "dify"))
            api = "responses" if name == "openai-responses" else "chat"
            provider = build_provider(replace(settings, openai_api=api))
            try:
                items = [item async for item in provider.stream(Asked("why"))]
            except ProviderError as exc:
                return f"{type(exc).__name__}: {exc}"
            finally:
                await provider.aclose()
    *said, end = items
    assert isinstance(end, End)
    pieces = [item.text for item in said if isinstance(item, Delta)]
    return f"{len(pieces)} pieces {pieces[:2]}, {len(end.sources)} sources, usage {end.usage}, thread {end.thread!r}"


async def main(published: list[tuple[str, str]], others: list[tuple[str, str]]) -> int:
    """Print a line for each example, and for other answers; how many examples are of another form than our sample."""
    differ = 0
    for name, wire in published:
        theirs, ours = forms(wire), forms(sample(name).wire)
        same = stands_in(theirs, ours) or stands_in(theirs, without_usage(ours) if name == "openai-chat" else ours)
        differ += not same
        print(f"{name}: {'the form of our sample' if same else 'ANOTHER FORM'}; {await read(name, wire)}")
    for name, wire in others:
        print(f"{name}: {await read(name, wire)}")
    return differ


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.published", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dify", type=Path)
    parser.add_argument("--openai", type=Path)
    parser.add_argument("--answer", action="append", default=[], metavar="SAMPLE=FILE", help="any other answer")
    parser.add_argument(
        "--write", type=Path, help="folder for the examples, which `realtime-rag fakes --recording` takes"
    )
    given = parser.parse_args()
    found = [*(dify(given.dify) if given.dify else ()), *(openai(given.openai) if given.openai else ())]
    for name, wire in found if given.write else ():
        (given.write / f"{name}.sse").write_text(wire, encoding="utf-8")
    pairs = [one.partition("=") for one in given.answer]
    sys.exit(asyncio.run(main(found, [(name, Path(file).read_text(encoding="utf-8")) for name, _, file in pairs])))
