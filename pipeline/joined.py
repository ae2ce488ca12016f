"""A question without its own content ("and how much?", "为什么呢？") is asked together with the sentence before it."""

from __future__ import annotations

import re

from pipeline.asked import ask_of, is_filler
from pipeline.features import is_chinese, plain

_WORDS_EN = """
what who whom whose where when why which how what's who's where's how's why's really much many long often far soon come
else about exactly for so not or then if and but like such as in on at by to of from with until since because way kind
sort one ones thing things time times example instance mean means it he she that this they them him her its there here
is are was were am be do does did has have had can could will would should might must isn't aren't wasn't doesn't didn't
can't won't wouldn't shouldn't it's that's the a an
"""
_EMPTY_EN = frozenset(_WORDS_EN.split())
_LONGEST_EN, _LONGEST_ZH = 6, 10
_EMPTY_ZH = re.compile(
    "(?:为什么|为何|为啥|怎么样|怎么办|怎么会|怎么说|怎么|怎样|如何|什么|啥|多少|多[久长大远]|哪[里儿个些家天]|哪|谁|"
    "几[个点天次]|几|比如说?|例如|真的|到底|具体|究竟|大概|一共|总共|需要|时候|时间|意思|原因|那么|那个|那些|那样|那|"
    "这个|这些|这样|这|它|他们|她们|[他她呢吗啊呀嘛吧说是的了在有会要能又还就不没给从用和跟钱])+"
)
_ENDED = re.compile(r"[.!?。！？…；;]\s*$")
_READ = 400  # characters of the sentence before


def leans(text: str) -> bool:
    """Whether a sentence has only words that any question could have: it is understood only with the one before it.

    >>> leans("And how much?"), leans("那为什么呢？"), leans("how much is the hall"), leans("退款要多久")
    (True, True, False, False)
    """
    asked = ask_of(text)
    if len(asked) > _READ:
        return False
    sentence = plain(asked)
    if is_chinese(sentence):
        return len(sentence) <= _LONGEST_ZH and bool(_EMPTY_ZH.fullmatch(sentence.replace(" ", "")))
    words = sentence.split()
    return len(words) <= _LONGEST_EN and _EMPTY_EN.issuperset(words)


def has_content(text: str) -> bool:
    """Whether a later question can lean on this sentence.

    >>> has_content("we could rent the hall"), has_content("um, okay"), has_content("and why?")
    (True, False, False)
    """
    return not is_filler(text) and not leans(text)


def asked_with(text: str, before: str) -> str:
    """What is asked, as `ask_of`; where the question leans on the sentence before it, both.

    Args:
        text: the question.
        before: the sentence before it, empty if there is none.

    >>> asked_with("And how much?", "We could rent the hall.")
    'We could rent the hall. how much?'
    >>> asked_with("为什么呢？", "退款要七个工作日")
    '退款要七个工作日，为什么呢？'
    >>> asked_with("How much is the hall?", "We could rent it.")
    'How much is the hall?'
    """
    asked = ask_of(text)
    if not leans(text) or not before.strip():
        return asked
    said = ask_of(before[-_READ:])
    if is_chinese(said):
        return f"{said}{asked}" if _ENDED.search(said) else f"{said}，{asked}"
    return f"{said} {asked}" if _ENDED.search(said) else f"{said}, {asked}"
