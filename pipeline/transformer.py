"""The transformer of the extra `onnx`: reads its artefact, gives the log-odds that a sentence asks something.

The artefact is an ONNX graph, ids of pieces in and raw log-odds out; its metadata hold the tokeniser and a `Card`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from pipeline.artefacts import installed
from pipeline.classifier import Table, evidence
from pipeline.errors import RagError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

ARTEFACT = "questions.onnx"


class Card(msgspec.Struct, frozen=True):
    """What the graph does not say: log-odds of a sentence are `bias + scale * output` of its language's table.

    `cascade` are the tables where it is asked only about what the linear model gives a probability within `unsure`;
    `share` is its part of the log-odds then, by language.
    """

    model: str
    tables: dict[str, Table]
    cascade: dict[str, Table]
    unsure: tuple[float, float]
    share: dict[str, float]


class Transformer:
    """A loaded artefact."""

    def __init__(self, session: InferenceSession, tokenizer: Tokenizer, card: Card) -> None:
        self._session, self._tokenizer, self.card = session, tokenizer, card

    @property
    def name(self) -> str:
        """Name and version."""
        return self.card.model

    @property
    def tables(self) -> Mapping[str, Table]:
        """By language."""
        return self.card.tables

    def output(self, sentence: str) -> float:
        """What the graph gives for a sentence; of a long one its first pieces are read."""
        ids = self._tokenizer.encode(sentence.encode("utf-8", "replace").decode()).ids
        return float(self._session.run(None, {"ids": [ids]})[0][0])

    def log_odds(self, sentence: str, chinese: bool, marked: bool = False) -> float:
        """Calibrated log-odds that a sentence is a question."""
        table = self.tables["zh" if chinese else "en"]
        return table.bias + table.scale * self.output(sentence) + evidence(sentence, chinese, marked)


def read_transformer(artefact: bytes) -> Transformer:
    """Read an artefact; it runs on one thread.

    Raises:
        RagError: the extra `onnx` is not installed.
    """
    try:
        from onnxruntime import InferenceSession, SessionOptions
        from tokenizers import Tokenizer
    except ModuleNotFoundError as exc:
        raise RagError(f"The models onnx and cascade need {exc.name}: pip install 'realtime-rag[onnx]'.") from exc
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = InferenceSession(artefact, options, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    return Transformer(session, Tokenizer.from_str(told["tokenizer"]), msgspec.json.decode(told["card"], type=Card))


@cache
def default_transformer() -> Transformer:
    """The transformer that comes with the package, read once."""
    return read_transformer(installed(ARTEFACT))
