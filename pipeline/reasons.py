"""Why a sentence was heard as a question or was not, in words for a person; the console shows them."""

from __future__ import annotations

import re

from pipeline.grammar import request_in

_LEAD_EN = re.compile(
    r"^(?:(?:um+|uh+|er+|so|well|okay|ok|right|yeah|yes|and|but|or|oh|ah|now|then|hey|hi|hello|sorry|please|like|"
    r"you know|i mean|actually|because) )*"
)
_STARTS_EN = re.compile(
    r"(?:how (?:many|much|long|often|far|old|big|about|come)|what (?:about|if|kind of|time|sort of|else)|"
    r"(?:what|how|who|where|when|why|which|whose)(?:'s|'re|'d|'ll)?|(?:whom|whether))\b|"
    r"(?:is|are|am|was|were|do|does|did|have|has|had|can|could|will|would|should|shall|may|might|must)(?:n't)? "
    r"(?:i|you|we|they|he|she|it|that|this|there|these|those|the|a|an|any|your|my|our|their|anyone|anybody)\b|"
    r"(?:isn't|aren't|wasn't|don't|doesn't|didn't|can't|couldn't|won't|wouldn't|shouldn't|haven't|hasn't)\b|any idea\b"
)
_ASKS_EN = re.compile(
    r"\b(i(?:'m| am| was)? (?:just )?wonder(?:ing)?|want(?:ed)? to (?:know|ask)|like to (?:know|ask)|tell (?:me|us)|"
    r"do you (?:know|remember)|any idea|let (?:me|us) know|my question is|explain)\b.*?\b"
    r"(how (?:many|much|long|often)|what|how|who|where|when|why|which|whether|if)\b"
)
_TAIL_EN = re.compile(
    r"\b((?:is|are|was|were|do|does|did|have|has|can|could|will|would|should)(?:n't)? "
    r"(?:i|you|we|they|he|she|it|there)|right|okay|or not|or what|or something|yeah|huh|eh|correct)$"
)
_ASKS_ZH = re.compile(r"(想知道|想问|想请问|想了解|想请教|请问|请教|告诉我|知不知道|知道|问一下|说说|讲讲)(.*)$")
_HELD_ZH = re.compile(
    r"为什么|什么|怎么样|怎么办|怎么|怎样|如何|多少|多久|多长|多大|多远|多高|多钱|几[个点次天年月号位家分]|哪[里儿些个家位年种]|哪|谁|啥|咋"
)
_EITHER_ZH = re.compile(r"(是不是|有没有|能不能|可不可以|要不要|会不会|对不对|好不好|行不行|(\w)[不没]\2)")
_TAIL_ZH = re.compile(r"(对吗|好吗|是吗|行吗|可以吗|是吧|对吧|好吧|吗|(?<![什怎那这要])么|呢|吧|嘛)[啊呀哈]?$")


def reason_for(plain: str, chinese: bool, marked: bool, asks: bool) -> str:
    """Name the sign of a question in `plain`, a sentence in lower case without marks.

    Args:
        plain: the sentence as the model reads it.
        chinese: whether it is read as Chinese.
        marked: whether a question mark stood in it.
        asks: the verdict.

    >>> reason_for("so how many are there", False, False, True), reason_for("我想知道退款要多久", True, False, True)
    ("starts with 'how many'", 'asks for: 想知道…要多久')
    """
    sign = (_sign_zh(plain) if chinese else _sign_en(plain)) or ("ends with a question mark" if marked else "")
    if asks:
        return sign or ("worded like questions" if plain else "has no words")
    return f"{sign}, but reads as a statement" if sign else "no sign of a question"


def _sign_en(plain: str) -> str:
    lead = _LEAD_EN.match(plain)
    start = lead.end() if lead else 0
    asks = _ASKS_EN.search(plain)
    if asks:
        return f"asks for: {asks[1]}…{asks[2]}"
    if found := _STARTS_EN.match(plain, start):
        return f"starts with '{found[0]}'"
    if request := request_in(plain, chinese=False):
        return f"asks for: {request}…"
    if found := _TAIL_EN.search(plain):
        return f"ends with '{found[1]}'" if found.start() > 0 else f"says '{found[1]}'"
    return ""


def _sign_zh(plain: str) -> str:
    held = _HELD_ZH.search(plain)
    asks = _ASKS_ZH.search(plain)
    if asks and (_HELD_ZH.search(asks[2]) or _EITHER_ZH.search(asks[2]) or _TAIL_ZH.search(asks[2])):
        return f"asks for: {asks[1]}…{asks[2][-3:]}"
    if found := _TAIL_ZH.search(plain):
        return f"ends with {found[1]}"
    if found := _EITHER_ZH.search(plain):
        return f"asks with {found[1]}"
    if held:
        return f"asks with {held[0]}"
    request = request_in(plain, chinese=True)
    return f"asks for: {request}…" if request else ""
