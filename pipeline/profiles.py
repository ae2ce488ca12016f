"""Who may ask, and how sure the detector must be: a profile such as `strict; speakers=A,B`.

It is written like a media type, so that it travels as one text: as a setting, as a query parameter, on a chunk.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from pipeline.cascade import MODELS

Name = Literal["eager", "balanced", "strict", "all", "wake_phrase", "off"]
PROFILES: tuple[Name, ...] = get_args(Name)
PARTS = ("phrases", "speakers", "model")
EVERYBODY = "*"
_WORDS = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+(?:'[^\W_]+)*")
_GAP = r"[\W_]*"


class Profile(NamedTuple):
    """How a session is listened to.

    `name` is one of `PROFILES`; `phrases` are what wakes `wake_phrase`; only `speakers` ask, if there are any; `model`
    hears, empty: the deployment's.
    """

    name: str = "balanced"
    phrases: tuple[str, ...] = ()
    speakers: frozenset[str] = frozenset()
    model: str = ""

    def admits(self, speaker: str | int | None) -> bool:
        """Whether this speaker may ask; one who is not known may only where everybody may."""
        return not self.speakers or (speaker is not None and str(speaker) in self.speakers)


BALANCED = Profile()


@lru_cache(1024)
def read_profile(text: str | None, default: Profile = BALANCED) -> Profile:
    """Read a profile; a part that is not named is the default's, and `speakers=*` is everybody.

    Raises:
        ValueError: a name or a part is not known, or nothing would wake `wake_phrase`; the message says so.

    >>> read_profile("wake_phrase; phrases=hey river,小河")
    Profile(name='wake_phrase', phrases=('hey river', '小河'), speakers=frozenset(), model='')
    >>> read_profile("speakers=A", Profile("strict"))
    Profile(name='strict', phrases=(), speakers=frozenset({'A'}), model='')
    """
    profile = default
    for part in filter(None, map(str.strip, (text or "").split(";"))):
        name, given, value = (piece.strip() for piece in part.partition("="))
        values = tuple(filter(None, map(str.strip, value.split(","))))
        if not given and name in PROFILES:
            profile = profile._replace(name=name)
        elif name == "phrases":
            profile = profile._replace(phrases=values)
        elif name == "speakers":
            profile = profile._replace(speakers=frozenset(values) - {EVERYBODY})
        elif name == "model" and value in MODELS:
            profile = profile._replace(model=value)
        elif name == "model":
            raise ValueError(f"There is no question model {value!r}; there are: {', '.join(MODELS)}.")
        elif given:
            raise ValueError(f"A profile has no part {name!r}; there are: {', '.join(PARTS)}.")
        else:
            raise ValueError(f"There is no detector profile {name!r}; there are: {', '.join(PROFILES)}.")
    if profile.name == "wake_phrase" and not any(map(_pattern, profile.phrases)):
        raise ValueError("Profile wake_phrase needs phrases, as in: wake_phrase; phrases=hey river,小河.")
    return profile


class Woken(NamedTuple):
    """A wake phrase that was said, and the text behind it."""

    phrase: str
    rest: str


def woken(text: str, phrases: tuple[str, ...]) -> Woken | None:
    """The wake phrase that was said last, whatever marks stand in it; None if there is none.

    >>> woken("OK. Hey, River: how long is it?", ("hey river",))
    Woken(phrase='hey river', rest='how long is it?')
    """
    last: tuple[int, Woken] | None = None
    for phrase in phrases:
        pattern = _pattern(phrase)
        for found in pattern.finditer(text) if pattern else ():
            if last is None or found.end() > last[0]:
                last = found.end(), Woken(phrase, text[found.end() :])
    return last[1] if last else None


@lru_cache(1024)
def _pattern(phrase: str) -> re.Pattern[str] | None:
    words = _WORDS.findall(phrase)
    if not words:
        return None
    before, behind = (r"(?<![^\W_])" if words[0].isascii() else ""), (r"(?![^\W_])" if words[-1].isascii() else "")
    return re.compile(f"{before}{_GAP.join(map(re.escape, words))}{behind}{_GAP}", re.IGNORECASE)
