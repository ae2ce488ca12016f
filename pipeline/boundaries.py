"""Where a sentence ends in a text, and how texts of chunks are joined; the sentence cutter asks it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CLOSERS = r"\"'”’»」』）)\]}》】〉"
_RUN = re.compile(rf"([.?!…。！？；｡؟]+)([{_CLOSERS}]*)")
_HARD = frozenset("?!。！？；｡؟")
_UNSPACED = "\u2e80-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_CLAUSE = re.compile(rf"[，、：；]|[,;:](?=\s|[{_UNSPACED}])")
_STARTS_TIGHT = re.compile(rf"[.?!…,;:%{_CLOSERS}]")
_ENDS_TIGHT = re.compile(r"[(\[{“‘«]$")
_WORD = re.compile(r"\w")
_LEAD = re.compile(r"(?:(?:[?!…,;:。？！；，、：؟｡]|\.(?!\w))\s*)+")
_NEAR = 40  # characters around a mark that decide about it
_TOKEN = re.compile(r"[^\s(\[{“‘\"']+$")


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


# Never the end of a sentence: a name or an explanation follows.
_TITLES = _words(
    "dr mr mrs ms prof sr jr st mt rev hon gen col lt sgt capt gov sen pres e.g i.e vs cf viz approx fig eq vol pp ed",
    "dept est ph.d",
)
# May end a sentence: the next word decides.
_SHORT = _words("inc ltd corp co etc u.s u.k u.n e.u a.m p.m d.c b.c a.d al jan feb mar apr aug sept oct nov dec")
_STARTERS = _words(
    "a an and any are as at because but by can could did do does for had has have he her here his how i i'd i'll i'm",
    "i've if in is it it's its let's maybe may my no not now of on or our please shall she should so some that that's",
    "the their then there there's these they they're this those to was we we'd we'll we're we've well were what what's",
    "when where which while who why will with would yes you you're your",
)


def join(texts: Sequence[str]) -> tuple[str, list[int]]:
    """Join stripped texts; return the whole and where each begins in it.

    A space stands between words of scripts that use it, none in Chinese, before closing marks and inside a number.

    >>> join(["how much is", "it", "?"])[0], join(["退款要", "多久"])[0], join(["about 3.", "5 percent"])[0]
    ('how much is it?', '退款要多久', 'about 3.5 percent')
    """
    whole, starts = "", []
    for text in texts:
        if whole and text and _needs_space(whole, text):
            whole += " "
        starts.append(len(whole))
        whole += text
    return whole, starts


def _needs_space(left: str, right: str) -> bool:
    if _IS_UNSPACED.match(left[-1]) or _IS_UNSPACED.match(right[0]):
        return False
    if _STARTS_TIGHT.match(right) or _ENDS_TIGHT.search(left[-1]):
        return False
    return not (re.search(r"\d[.,]$", left[-2:]) and right[0].isdigit())


def mark_end(text: str) -> int | None:
    """Where the first sentence of `text` ends by a mark, closing quotes included; None if it may go on.

    A mark at the very end that can be something else (a decimal point, an abbreviation, an ellipsis) leaves it open.

    >>> text = "Dr. Lee paid 3.5 million. Why?"
    >>> text[: mark_end(text)]
    'Dr. Lee paid 3.5 million.'
    """
    word = _WORD.search(text)
    if not word:
        return None
    for run in _RUN.finditer(text, word.end()):
        if _ends(text, run):
            return run.end()
    return None


def _ends(text: str, run: re.Match[str]) -> bool:
    marks, closers, rest = run[1], run[2], text[run.end() : run.end() + _NEAR].lstrip()
    follows = text[run.end() : run.end() + 1]
    if follows and (follows in ",，、：:;" or (closers and rest[:1].islower())):
        return False
    if _HARD & set(marks):
        return not follows or ord(marks[-1]) > 127 or not (follows.isascii() and follows.isalnum())
    if len(marks) > 1 or marks == "…":
        return rest[:1].isupper()
    if follows and not (follows.isspace() or closers or _IS_UNSPACED.match(follows)):
        return False
    return _period_ends(text[max(0, run.start() - _NEAR) : run.start()], rest)


def _period_ends(before: str, rest: str) -> bool:
    """Whether a full stop between `before` and `rest` ends the sentence, and is not of a number or an abbreviation."""
    found = _TOKEN.search(before)
    token = found[0].lower() if found else ""
    if token in _TITLES:
        return False
    if token in _SHORT or (len(token) == 1 and token.isascii() and token.isalpha()):
        return _first_word(rest) in _STARTERS and rest[:1].isupper()
    if token == "no":
        return not rest[:1].isdigit()
    if before[-1:].isdigit():
        return bool(rest) and token != before.strip().lower()
    return True


def _first_word(text: str) -> str:
    return text.split(maxsplit=1)[0].strip(",.?!…").lower() if text else ""


def without_lead(text: str) -> str:
    """A sentence without marks in front of its words: they belong to the one before, which has ended.

    >>> without_lead("？我想知道"), without_lead(".5 percent"), without_lead("?!")
    ('我想知道', '.5 percent', '?!')
    """
    found = _LEAD.match(text)
    return text[found.end() :] if found and _WORD.search(text, found.end()) else text


def looks_whole(text: str) -> bool:
    """Whether a short silence is enough: the text ends with a mark that can be an end but need not be one.

    >>> looks_whole("it costs 3."), looks_whole("I met Dr."), looks_whole("and then we")
    (True, False, False)
    """
    found = re.search(rf"([.?!…。！？；｡؟]+)[{_CLOSERS}]*$", text)
    if not found:
        return False
    token = _TOKEN.search(text[: found.start()])
    return found[1] != "." or not token or token[0].lower() not in _TITLES


def length_end(text: str, limit: int) -> int:
    """The best place to cut within the first `limit` characters: after a comma, else at a space, else at the limit.

    >>> length_end("first part, second part", 18), length_end("one two", 5), length_end("abcdefgh", 5)
    (11, 3, 5)
    """
    half = limit // 2
    for pattern in (_CLAUSE, re.compile(r"(?<=\S)\s")):
        ends = [match.end() for match in pattern.finditer(text, half, limit + 1)]
        ends = [end for end in ends if end <= limit and text[:end].strip()]
        if ends:
            return len(text[: ends[-1]].rstrip())
    return limit
