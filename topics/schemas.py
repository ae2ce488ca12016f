"""JSON Schemas of the topics for producers and readers in other languages; `python -m topics.schemas` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from topics.catalog import DESCRIBED, Topic

FOLDER = Path(__file__).parent / "schemas"


def schema_of(topic: Topic) -> dict[str, Any]:
    """JSON Schema (2020-12) of one topic's values. On transcripts `type` may be missing: the record is a chunk then."""
    schema: dict[str, Any] = msgspec.json.schema(topic.records)
    if topic.foreign:
        chunk = schema["$defs"]["AsrChunk"]
        chunk["required"] = [name for name in chunk["required"] if name != "type"]
        schema["anyOf"] = [{"$ref": f"#/$defs/{name}"} for name in _records(schema)]
        schema.pop("discriminator", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": topic.on(), **schema}


def _records(schema: dict[str, Any]) -> list[str]:
    """The definitions that are records, and not parts of one."""
    return [name for name, definition in schema["$defs"].items() if "type" in definition["properties"]]


def files() -> dict[Path, bytes]:
    """Path and content of every schema file."""
    return {FOLDER / f"{topic.noun}.json": _pretty(schema_of(topic)) for topic in DESCRIBED}


def _pretty(schema: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, content in files().items():
        path.write_bytes(content)
