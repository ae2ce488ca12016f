"""What the question model reads of a sentence: hashed n-grams of words or characters, its edges, what follows fillers.

Hashes are CRC-32: the same in every process and on every machine, and fast on bytes.
"""

from __future__ import annotations

import re
import unicodedata
from zlib import crc32

from pipeline.grammar import CONTRACTIONS, structure

_READ = 200  # characters that are read at either end of a long text
_MARKS = re.compile(r"[^\w'.]+|(?<!\d)\.|\.(?!\d)|_")
_NUMBER = re.compile(r"\d[\d.]*")
_CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LATIN = re.compile("[a-z][a-z']*")
_BLANKS_IN_CHINESE = re.compile(r"(?<=[^\x00-\x7f]) +| +(?=[^\x00-\x7f])")
_HESITATIONS = frozenset({"um", "uh", "er", "eh", "erm", "ehm", "mm", "hmm", "hm"})
FILLERS = frozenset(
    {*_HESITATIONS, "mhm", "oh", "ah", "well", "so", "okay", "ok", "right", "yeah", "yes", "no", "and", "but", "or"}
    | {"then", "now", "like", "just", "please", "alright", "hey", "hi", "hello", "sorry", "actually", "basically"}
    | {"because", "cause", "'cause", "anyway"}
)
_ASKING_ZH = re.compile(
    "什么|怎么|为什么|多少|几|哪|谁|吗|呢|吧|是不是|有没有|能不能|可以|多|如何|怎|啥|咋|是否|知道|想问|请问|问"
)
_PARTICLES_ZH = re.compile("[呢啊呀吧吗嘛啦了哦哈的]+$")


def plain(text: str) -> str:
    """Lower case without marks, every number as 0, as a recogniser without punctuation would give it.

    >>> plain("So, it's 3.5 %?  Really!"), plain("要１５分钟吗？")
    ("so it's 0 really", '要0分钟吗')
    """
    if len(text) > 2 * _READ:
        text = f"{text[:_READ]} {text[-_READ:]}"
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    return _NUMBER.sub("0", _MARKS.sub(" ", text)).strip()


def letters(text: str) -> int:
    """How many characters are letters or digits: a measure of place that marks and blanks do not change.

    >>> letters("it's 3.5 %"), letters("退款？")
    (5, 2)
    """
    return sum(map(str.isalnum, text))


def is_chinese(text: str, lang: str | None = None) -> bool:
    """Whether a sentence is to be read as Chinese: any Chinese character, or most of it in an English session."""
    if not lang or not lang.lower().startswith("en"):
        return bool(_CHINESE.search(text))
    return len(_CHINESE.findall(text)) > len(re.findall(r"[a-z']+", text))


def hashes(sentence: str, chinese: bool) -> set[int]:
    """Hashes of all that is read of a `plain` sentence; it grows with its length, which `plain` bounds."""
    return set(_chinese(sentence) if chinese else _english(sentence))


def _english(sentence: str) -> list[int]:
    words = _without_repairs(sentence)
    if not words:
        return []
    edged = [b"^", *(word.encode("utf-8", "surrogatepass") for word in words), b"$"]
    found = [crc32(word) for word in edged[1:-1]]
    found += [crc32(b"%b %b" % pair) for pair in zip(edged, edged[1:], strict=False)]
    found += [crc32(b"%b %b %b" % three) for three in zip(edged, edged[1:], edged[2:], strict=False)]
    lead = 0
    while lead < len(words) - 1 and words[lead] in FILLERS:
        lead += 1
    found += _frame(edged[lead + 1 : -1])
    return found + [crc32(name.encode("utf-8", "surrogatepass")) for name in structure(words[lead:])]


def _without_repairs(sentence: str) -> list[str]:
    """Words without hesitations and immediate repetitions: "dont you dont you uh know" is read "don't you know"."""
    words: list[str] = []
    for bare in sentence.split():
        word = CONTRACTIONS.get(bare, bare)
        if word in _HESITATIONS or words[-1:] == [word]:
            continue
        words.append(word)
        if len(words) >= 4 and words[-2:] == words[-4:-2]:
            del words[-2:]
    return words or sentence.split()


def _frame(core: list[bytes]) -> list[int]:
    """How the words after the fillers begin and end, and about how many they are."""
    found = [crc32(b"<" + b" ".join(core[:count])) for count in range(1, min(4, len(core)) + 1)]
    found += [crc32(b" ".join(core[-count:]) + b">") for count in range(2, min(4, len(core)) + 1)]
    size = b"L%d" % _rounded(len(core), (6, 9, 12))
    found += [crc32(b"fl%b|%b" % (core[0], core[-1])), crc32(size), crc32(size + core[0])]
    if len(core) > 1:
        found.append(crc32(b"%b%b %b" % (size, core[0], core[1])))
    return found


def _rounded(count: int, steps: tuple[int, ...]) -> int:
    return count if count < steps[0] else max(step for step in steps if step <= count)


def _chinese(sentence: str) -> list[int]:
    text = _LATIN.sub("a", _BLANKS_IN_CHINESE.sub("", sentence))  # a foreign name is a name, however long
    edged = f"^{text}$".encode("utf-16-le", "surrogatepass")
    size = len(edged)
    found = [crc32(edged[at : at + width]) for width in (2, 4, 6, 8) for at in range(0, size - width + 1, 2)]
    return found + _asking(text)


def _asking(text: str) -> list[int]:
    """Question words with the place where they stand, and how the sentence ends without its particles."""
    asking = list(_ASKING_ZH.finditer(text))
    last, length = text[-1:], len(text) if len(text) < 8 else 8 + min(len(text), 40) // 8
    names = [f"N{len(asking)}", f"E{_PARTICLES_ZH.sub('', text)[-2:]}$", f"L{length}", f"L{length}{last}"]
    for word in asking:
        names += [f"Q{word[0]}|{last}", f"P{word[0]}|{min(len(text) - word.end(), 8)}"]
    if asking:
        end = asking[-1].end()
        names += [f"first{asking[0][0]}|{length}", f"lastq{asking[-1][0]}|{text[end : end + 1]}"]
    return [crc32(name.encode("utf-8", "surrogatepass")) for name in names]
