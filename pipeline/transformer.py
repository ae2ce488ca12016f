"""The transformer of the extra `onnx`: reads its artefact; gives the log-odds that a sentence asks something, and that
one ends in running speech.

The artefact is an ONNX graph, ids of pieces in and raw log-odds out; its metadata hold the tokeniser and a `Card`.
"""  # noqa: D205

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

ARTEFACT = "transformer.onnx"
LONGEST = 64  # pieces that are read of a sentence, its first ones, with the two that stand around them
PLACES = 128  # pieces of running speech that are read at once, with these two
AT_ONCE = PLACES - 2
BEFORE, BEHIND = 32, 8  # pieces on both sides that are read for the sake of those between
LEAST = -4.5  # log-odds of a question; surer than that it cannot be, and a question mark must still count
BEGIN, END = 0, 2


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
        tokenizer.no_truncation()

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
        found = self._tokenizer.encode(sentence.encode("utf-8", "replace").decode(), add_special_tokens=False)
        ids = [BEGIN, *found.ids[: LONGEST - 2], END]
        return float(self._session.run(["asks"], {"ids": [ids]})[0][0])

    def ends(self, speech: str) -> tuple[list[int], list[float]]:
        """Of each piece of `plain` speech: the character behind it, and the log-odds that a sentence ends there."""
        found = self._tokenizer.encode(speech, add_special_tokens=False)
        odds: list[float] = []
        for begin in range(0, max(1, len(found.ids) - BEFORE - BEHIND), AT_ONCE - BEFORE - BEHIND):
            part = [BEGIN, *found.ids[begin : begin + AT_ONCE], END]
            places = self._session.run(["places"], {"ids": [part]})[0][0, 1:-1, 0]
            odds[max(0, len(odds) - BEHIND) :] = places[len(odds) and BEFORE :].tolist()
        return [end for _, end in found.offsets], odds

    def log_odds(self, sentence: str, chinese: bool, marked: bool = False) -> float:
        """Calibrated log-odds that a sentence is a question."""
        table = self.tables["zh" if chinese else "en"]
        odds = max(table.bias + table.scale * self.output(sentence), LEAST)
        return odds + evidence(sentence, chinese, marked)


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
