"""Whether a sentence asks something, how sure we are, why, and what is asked: the questions stage runs it on each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal, NamedTuple, get_args

import msgspec

from pipeline.asked import ask_of
from pipeline.classifier import default_model, probability
from pipeline.features import is_chinese, plain
from pipeline.reasons import reason_for

__all__ = ["PROFILES", "Profile", "Verdict", "ask_of", "detect", "score_lines", "thresholds"]

Profile = Literal["eager", "balanced", "strict", "all", "off"]
PROFILES: tuple[Profile, ...] = get_args(Profile)

_MARK = re.compile(r"[?？؟](?![^\W_])")


class Verdict(NamedTuple):
    """What was decided about a sentence.

    `score` is the probability, 0 to 1, that it asks something; `reason` is for a person; `model` made the score.
    """

    is_question: bool
    score: float
    reason: str
    model: str


def detect(text: str, lang: str | None = None, profile: str = "balanced", context: str = "") -> Verdict:
    """Decide whether a sentence asks something.

    A question mark is evidence, its absence is none; "I want to know" is evidence too. Any text gets a verdict; of a
    very long one both ends are read.

    Args:
        text: the sentence, with or without marks.
        lang: language of the session (`zh`, `en`, …); the characters decide where it is not English.
        profile: one of `PROFILES`: how sure to be. `all` asks whatever has a word, `off` nothing.
        context: the sentence before; the linear model does not read it.

    Raises:
        ValueError: there is no such profile.

    >>> detect("This is fine.").is_question, detect("我想知道退款要多久").is_question
    (False, True)
    """
    if profile not in PROFILES:
        raise ValueError(f"There is no detector profile {profile!r}; there are: {', '.join(PROFILES)}.")
    model = default_model()
    sentence, chinese, marked = _read(text, lang)
    score = _score(sentence, chinese, marked)
    asks = bool(sentence) and profile != "off"
    if profile not in ("all", "off"):
        asks = score >= model.header.tables["zh" if chinese else "en"].thresholds[profile]
    return Verdict(asks, score, _reason(sentence, chinese, marked, asks, profile), model.header.model)


def thresholds(profile: str = "balanced") -> dict[str, float]:
    """The fixed probability from which on a sentence is asked, by language."""
    return {lang: table.thresholds[profile] for lang, table in default_model().header.tables.items()}


def score_lines(lines: Iterable[str | bytes]) -> Iterator[float]:
    """One probability for each JSON line with `text` and, if known, `lang`; in order.

    Raises:
        ValueError: a line is not of that form; the message names it.
    """
    decode = _decoder().decode
    for number, line in enumerate(lines, 1):
        try:
            row = decode(line)
        except msgspec.MsgspecError as error:
            raise ValueError(f'Line {number} is not a JSON object with "text" and "lang": {error}') from error
        yield _score(*_read(row.text, row.lang))


class _Line(msgspec.Struct):
    text: str
    lang: str | None = None


@cache
def _decoder() -> msgspec.json.Decoder[_Line]:
    return msgspec.json.Decoder(_Line)


def _read(text: str, lang: str | None) -> tuple[str, bool, bool]:
    sentence = plain(text)
    return sentence, is_chinese(sentence, lang), bool(_MARK.search(text[-200:]))


def _score(sentence: str, chinese: bool, marked: bool) -> float:
    if not sentence:
        return 0.0
    return probability(default_model().log_odds(sentence, chinese, marked))


def _reason(sentence: str, chinese: bool, marked: bool, asks: bool, profile: str) -> str:
    if not sentence:
        return "has no words"
    if profile in ("all", "off"):
        return "everything is asked" if profile == "all" else "detection is off"
    return reason_for(sentence, chinese, marked, asks)
