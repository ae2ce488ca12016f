"""Linear models over hashed features as they are stored: one line of JSON, then one signed byte a bucket and table."""

from __future__ import annotations

from importlib import resources
from itertools import accumulate
from typing import Generic, TypeVar

import msgspec

Table = TypeVar("Table")


class Header(msgspec.Struct, Generic[Table], frozen=True):
    """The line: name and version, the number of buckets of each table (a power of two), the tables in order."""

    model: str
    buckets: dict[str, int]
    tables: dict[str, Table]


def read_weights(artefact: bytes, kind: type[Header[Table]]) -> tuple[Header[Table], dict[str, memoryview]]:
    """Header of an artefact, and the weights of each table.

    Raises:
        ValueError: it is not of this format or cut short.
    """
    line, _, rest = artefact.partition(b"\n")
    header = msgspec.json.decode(line, type=kind)
    ends = list(accumulate(header.buckets[name] for name in header.tables))
    if len(rest) != ends[-1]:
        raise ValueError(f"{header.model} is cut short: {len(rest)} bytes of weights; install the package again.")
    whole = memoryview(rest).cast("b")
    return header, {
        name: whole[end - header.buckets[name] : end] for name, end in zip(header.tables, ends, strict=True)
    }


def installed(name: str) -> bytes:
    """An artefact that comes with the package."""
    return resources.files("pipeline").joinpath("models", name).read_bytes()
