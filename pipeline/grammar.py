"""How a sentence is built: classes of English words, which the question model reads, and "I want to know".

"have you seen it" and "did they bring any" are the same sentence here: AUX PRO x PRO against AUX PRO x DET.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BY_CLASS = {
    "WH": "what how who where when why which whose whom what's how's who's where's when's why's what'd who'd how'd",
    "AUX": "is are am was were do does did have has had can could will would should shall may might must",
    "NAUX": "isn't aren't wasn't weren't don't doesn't didn't haven't hasn't can't couldn't won't wouldn't shouldn't",
    "PRO": "i you we they he she it that this there these those anyone anybody anything someone somebody everyone "
    "everybody",
    "PROV": "i'm you're we're they're he's she's it's that's there's i've you've we've they've i'll you'll we'll i'd "
    "you'd we'd they'd",
    "DET": "the a an any some your my our their his her its all no each every",
    "IF": "if whether because so when while as since though although unless until",
    "CONJ": "and but or",
    "PREP": "of in on at to for with from by about into over between",
    "NOT": "not never",
    "ADV": "just really actually also still only then now",
}
_CLASSES: dict[str, str] = {}
for _name, _members in _BY_CLASS.items():
    for _word in _members.split():
        _CLASSES.setdefault(_word, _name)
# Without their apostrophe these are other words.
_OTHER_WORDS = {"were", "well", "ill", "its", "wed", "id", "shed", "hed", "hell", "shell"}
CONTRACTIONS = {word.replace("'", ""): word for word in _CLASSES if "'" in word}
CONTRACTIONS = {bare: word for bare, word in CONTRACTIONS.items() if bare not in _OTHER_WORDS | _CLASSES.keys()}
_BETWEEN = r"(?: (?:please|just|really|also|quickly|maybe))*"
_REQUEST_EN = re.compile(
    rf"\bi(?:'m| am| was|'ve been| have been){_BETWEEN} wondering\b|"
    rf"\bi(?:'d| would)?{_BETWEEN} (?:want|wanted|like|love|need){_BETWEEN} to{_BETWEEN} (?:know|ask|find out)\b"
)
_REQUEST_ZH = re.compile("我(?:就|还|也|很|只是)?想要?(?:请?问|请教|了解|知道|咨询)(?!题)")
_ONLY_LEAD = re.compile("(?:那么?|那个|这个|然后|所以|因为|但是|不过|就是说?|其实|[嗯呃额啊哦噢诶哎])+")
_ENDINGS = (("ing", 6), ("ed", 5), ("s", 4))  # of the words without a class, with the length from which they count


def word_class(word: str) -> str:
    """Class of an English word in lower case; of an unknown one its ending.

    >>> [word_class(word) for word in ("what", "did", "they", "bring", "working")]
    ['WH', 'AUX', 'PRO', 'x', 'ing']
    """
    known = _CLASSES.get(word)
    if known:
        return known
    return next((end for end, length in _ENDINGS if word.endswith(end) and len(word) >= length), "x")


def request_in(plain: str, chinese: bool) -> str:
    """The words with which the speaker says that he wants to know something; empty if he does not.

    >>> request_in("i'd just like to know the price", False), request_in("he wants to know the price", False)
    ("i'd just like to know", '')
    """
    found = (_REQUEST_ZH if chinese else _REQUEST_EN).search(plain)
    return found[0] if found else ""


def is_only_lead(plain: str) -> bool:
    """Whether a Chinese sentence ends before it says anything.

    >>> is_only_lead("嗯那么"), is_only_lead("那么多")
    (True, False)
    """
    return bool(_ONLY_LEAD.fullmatch(plain))


def structure(words: list[str]) -> Iterator[str]:
    """Names of what the build of a sentence shows; `words` stand without the fillers before them."""
    classes = [word_class(word) for word in words]
    for count in (1, 2, 3, 4):
        yield f"C{count}{' '.join(classes[:count])}"
    for count in (2, 3):
        yield f"D{count}{' '.join(classes[-count:])}"
    if len(words) > 1:
        yield f"M{words[0]} {classes[1]}"
        yield f"M2{words[0]} {' '.join(classes[1:3])}"
        yield f"M3{classes[0]} {words[1]}"
    if classes[:1] == ["WH"]:
        yield f"W{_order_after_question_word(classes)}"
    yield from _inversions(classes)


def _order_after_question_word(classes: list[str]) -> str:
    """`i` if a verb stands before its subject ("what did she say"), `s` if not ("what she said"), `n` without any."""
    subject = next((at for at, name in enumerate(classes) if name in ("PRO", "PROV")), None)
    for at in range(1, len(classes) - 1):
        if classes[at] in ("AUX", "NAUX") and classes[at + 1] in ("PRO", "DET", "x", "s"):
            return "i" if subject is None or at < subject else "s"
    return "n" if subject is None else "s"


def _inversions(classes: list[str]) -> Iterator[str]:
    """How many verbs stand before a pronoun, how early the first, how late the last: "is it" at the end is a tag."""
    found = [
        at for at in range(len(classes) - 1) if classes[at] in ("AUX", "NAUX") and classes[at + 1] == "PRO"
    ]  # fmt: skip
    yield f"AP{min(len(found), 2)}"
    if found:
        yield f"APe{min(len(classes) - found[-1] - 2, 4)}"
        yield f"APs{min(found[0], 4)}"
