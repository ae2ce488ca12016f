"""Whether a sentence asks something, how sure we are, why, and what is asked: the questions stage runs it on each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import msgspec

from pipeline.asked import ask_of
from pipeline.cascade import MODELS, is_unsure, model_of
from pipeline.classifier import Classifier, probability
from pipeline.features import is_chinese, plain
from pipeline.profiles import PROFILES, Profile, read_profile, woken
from pipeline.reasons import reason_for

__all__ = ["MODELS", "PROFILES", "Profile", "Verdict", "ask_of", "detect", "score_lines", "thresholds"]

_MARK = re.compile(r"[?？؟](?![^\W_])")


class Verdict(NamedTuple):
    """What was decided about a sentence.

    `score` is the probability, 0 to 1, that it asks something; `reason` is for a person; `model` made the score.
    `unsure`: the score decided, and is near to where it would have decided otherwise.
    """

    is_question: bool
    score: float
    reason: str
    model: str
    unsure: bool = False


def detect(
    sentence: str,
    context: str = "",
    *,
    lang: str | None = None,
    profile: str | Profile = "balanced",
    speaker: str | int | None = None,
    model: str = "linear",
) -> Verdict:
    """Decide whether a sentence asks something.

    A question mark is evidence, its absence is none; "I want to know" is evidence too. Any text gets a verdict; of a
    very long one both ends are read.

    Args:
        sentence: what was said, with or without marks.
        context: the sentence before it: one that was nothing but a wake phrase wakes for this one.
        lang: language of the session (`zh`, `en`, …); the characters decide where it is not English.
        profile: who may ask and how sure to be, read or as `read_profile` reads it.
        speaker: who said it.
        model: one of `MODELS`, where the profile names none; all but `linear` need the extra `onnx`.

    Raises:
        ValueError: there is no such profile or model.
        RagError: the extra `onnx` is needed and not installed.

    >>> detect("This is fine.").is_question, detect("我想知道退款要多久").is_question
    (False, True)
    """
    if isinstance(profile, str):
        profile = read_profile(profile)
    judge = model_of(profile.model or model)
    words, chinese, marked = _read(sentence, lang)
    score = _score(judge, words, chinese, marked)
    ruling = _ruled(words, sentence, context, profile, speaker)
    if ruling is not None:
        return Verdict(ruling[0], score, ruling[1], judge.name)
    threshold = judge.tables["zh" if chinese else "en"].thresholds[profile.name]
    asks = score >= threshold
    reason = reason_for(words, chinese, marked, asks)
    return Verdict(asks, score, reason, judge.name, is_unsure(score, threshold))


def _ruled(
    words: str, sentence: str, context: str, profile: Profile, speaker: str | int | None
) -> tuple[bool, str] | None:
    """Verdict and reason where the profile decides whatever the score; None where the score does."""
    if not words:
        return False, "has no words"
    if not profile.admits(speaker):
        return False, "this speaker is not listened to"
    if profile.name == "wake_phrase":
        return _woken(sentence, context, profile.phrases)
    return {"all": (True, "everything is asked"), "off": (False, "detection is off")}.get(profile.name)


def _woken(sentence: str, context: str, phrases: tuple[str, ...]) -> tuple[bool, str]:
    said, said_before = woken(sentence, phrases), woken(context, phrases)
    if said:
        if plain(said.rest):
            return True, f"said to '{said.phrase}'"
        return False, f"'{said.phrase}' waits for what is said next"
    if said_before and not plain(said_before.rest):
        return True, f"said after '{said_before.phrase}'"
    return False, "said without a wake phrase"


def thresholds(profile: str = "balanced", model: str = "linear") -> dict[str, float]:
    """The fixed probability from which on a sentence is asked, by language."""
    return {lang: table.thresholds[profile] for lang, table in model_of(model).tables.items()}


def score_lines(lines: Iterable[str | bytes], model: str = "linear") -> Iterator[float]:
    """One probability for each JSON line with `text` and, if known, `lang`; in order.

    Raises:
        ValueError: a line is not of that form; the message names it.
    """
    judge, decode = model_of(model), _decoder().decode
    for number, line in enumerate(lines, 1):
        try:
            row = decode(line)
        except msgspec.MsgspecError as error:
            raise ValueError(f'Line {number} is not a JSON object with "text" and "lang": {error}') from error
        yield _score(judge, *_read(row.text, row.lang))


class _Line(msgspec.Struct):
    text: str
    lang: str | None = None


@cache
def _decoder() -> msgspec.json.Decoder[_Line]:
    return msgspec.json.Decoder(_Line)


def _read(text: str, lang: str | None) -> tuple[str, bool, bool]:
    sentence = plain(text)
    return sentence, is_chinese(sentence, lang), bool(_MARK.search(text[-200:]))


def _score(judge: Classifier, sentence: str, chinese: bool, marked: bool) -> float:
    if not sentence:
        return 0.0
    return probability(judge.log_odds(sentence, chinese, marked))
