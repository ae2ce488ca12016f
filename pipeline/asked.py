"""What a question asks, without the words before it: fillers, greetings and "could you tell me" are removed."""

from __future__ import annotations

import re

from pipeline.features import letters

_FILLERS_EN = re.compile(
    r"(?:um+|uh+|er+|erm|ehm|eh|hm+|mm+|so|well|okay|ok|right|yeah|yep|yes|and|but|oh|ah|now|alright|like|sorry|please|"
    r"excuse me|actually|basically|anyway|you know|i mean|thank you|thanks|hey|hi|hello|"
    r"good (?:morning|afternoon|evening))"
    r"(?=[\s,.!…;:-]|$)",
    re.IGNORECASE,
)
_GREETED = re.compile(r"(?:hey|hi|hello)\s+[^\s,，]{1,30}\s*,", re.IGNORECASE)
_FRAMES_EN = re.compile(
    r"(?:(?:can|could|would|will) you (?:please |just |maybe |kindly )*(?:tell|explain to|remind) (?:me|us)|"
    r"(?:please )?tell (?:me|us)|do you (?:know|remember|happen to know)|any idea|"
    r"(?:can|could|may) i (?:just )?ask(?: you)?|(?:my|the) question is|i have a question|"
    r"i(?: just)? (?:want|wanted|would like|need) to (?:ask|know)(?: you)?|i'd (?:just )?like to (?:ask|know)(?: you)?|"
    r"i(?:'m| am| was| were)? (?:just )?wonder(?:ing)?)(?=[\s,:]|$)",
    re.IGNORECASE,
)
_ASKING_EN = re.compile(
    r"(?:if|whether|who|whom|whose|who's|what|what's|when|where|where's|which|why|how|how's|is|are|was|were|do|does|did|"
    r"can|could|will|would|should|has|have)\b",
    re.IGNORECASE,
)
_FILLERS_ZH = re.compile(
    r"(?:[嗯呃额噢诶欸唉哎啊哦]+|(?:那个|这个|就是说?|然后|所以|那么?|好的?|对+|是的)(?=[\s,，、。]|我想|我问|想问|请问|您好|[嗯呃额])|"
    r"(?:你好|您好|大家好)(?![吗么不没])|不好意思|打扰一下|麻烦问一下|请问一?下?|请教一?下?|"
    r"[^\s,，。？?]{1,4}(?:老师|经理|先生|女士|总)(?=[,，]))"
)
_FRAMES_ZH = re.compile(
    r"(?:我?(?:就|还|也)?(?:只是)?(?:想要?|要)(?:再)?(?:请?问|请教|了解|知道|咨询)(?:问|一下|下)*|"
    r"我(?:有|问)(?:一)?个问题(?:是|就是)?|我问一?下|"
    r"(?:你|您)?(?:能不能|可不可以|可以|能|麻烦(?:你|您)?|请(?:你|您)?)(?:告诉|跟|和)(?:我|我们|大家)(?:说|讲)?一?下?)"
)
_AGREES_ZH = re.compile(r"(?:好的?|对+|是的?|行|可以|没错|没问题)(?=[\s,，、。.!！]|$)")
_EDGE = " \t\r\n,，、.。…;；:：-—!！？?"
_POLITE_TAIL = re.compile(r"[\s,，]*(?:please|thank you|thanks|谢谢(?:你|您|大家)?)(?=[.?!。？！\s]*$)", re.IGNORECASE)
_LONGEST = 2_000


def ask_of(text: str) -> str:
    """What is asked in `text`; pronouns are left as they are, and what is left is never empty unless `text` is blank.

    >>> ask_of("um so could you tell me how long a refund takes?")
    'how long a refund takes?'
    >>> ask_of("那个我想问一下退款要多久")
    '退款要多久'
    >>> ask_of("could you tell me?")
    'could you tell me?'
    """
    whole = text.strip()
    if len(whole) > _LONGEST:
        return whole
    asked = whole.lstrip(_EDGE)
    for _ in range(16):
        shorter = _without_lead(asked)
        if shorter == asked or not _says_something(shorter):
            break
        asked = shorter
    trimmed = _POLITE_TAIL.sub("", asked)
    asked = trimmed if _says_something(trimmed) else asked
    return asked if _says_something(asked) else whole


def is_filler(text: str) -> bool:
    """Whether nothing is said beside fillers, greetings and thanks.

    >>> is_filler("um, okay. Thanks!"), is_filler("嗯，好的"), is_filler("okay, ten euros")
    (True, True, False)
    """
    rest = _POLITE_TAIL.sub("", text[:_LONGEST]).strip(_EDGE)
    while rest:
        found = _GREETED.match(rest) or _FILLERS_EN.match(rest) or _FILLERS_ZH.match(rest) or _AGREES_ZH.match(rest)
        if not found:
            return not _says_something(rest)
        rest = rest[found.end() :].lstrip(_EDGE)
    return True


def _without_lead(text: str) -> str:
    for pattern in (_GREETED, _FILLERS_EN, _FILLERS_ZH, _FRAMES_EN, _FRAMES_ZH):
        found = pattern.match(text)
        rest = text[found.end() :].lstrip(_EDGE) if found else ""
        if not found or not rest:
            continue
        if pattern is _FRAMES_EN and not (_ASKING_EN.match(rest) or (_is_wish(found[0]) and " " in rest)):
            continue
        return rest
    return text


def _is_wish(frame: str) -> bool:
    """Whether what follows is asked for even without a question word: "I want to know the price"."""
    return frame.lower().endswith(("know", "is")) and "do you" not in frame.lower()


def _says_something(text: str) -> bool:
    return letters(text) >= 2
