"""Words of the index: text in, terms out; the same for a passage and for a spoken question, in Chinese and English."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import accumulate

import rjieba
from opencc import OpenCC
from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN = re.compile(rf"(?P<han>[{HAN}]+)|(?P<number>\d+(?:[.,]\d+)+)|(?P<word>[^\W_{HAN}]+(?:['’][^\W_{HAN}]+)?)")
_HAN = re.compile(f"[{HAN}]")

# What people say around the thing they ask about. Left in, these words outweigh it in a question of ten words.
_STOP_EN = """
a about actually again all also am an and any anybody anyone anything are as ask asking at be because been being but by
can could did do does doing don done else ever every everybody for from get gets getting give go going gonna got guess
guys had has have having he hello her here hey hi him his how i if in into is isn it its just kind know let like look
many may maybe me mean might mind more much must my need no not now of off oh ok okay on once one only or our out over
people please possible pretty question quick quickly quite really right said say says see shall she should sir so some
somebody someone something sort still sure take tell than thank thanks that the their them then there these they thing
things think this those to too uh um up us very wanna want wanted was we well were what when where whether which while
who whom whose why will with wonder wondering would yeah yes yet you your
"""
_STOP_ZH = """
的 了 着 过 吗 呢 啊 吧 呀 嘛 哦 噢 嗯 呃 额 哎 唉 哈 啦 么 得 地 之 我 你 您 他 她 它 咱 我们 你们 您们 他们 她们
它们 咱们 大家 自己 这 那 这个 那个 这些 那些 这样 那样 这边 那边 这里 那里 这儿 那儿 哪 哪个 哪些 哪里 哪儿 哪位
哪一个 什么 什么样 啥 怎么 怎么样 怎样 怎么办 咋 咋样 如何 为什么 为啥 为何 多少 几 几个 谁 何时 什么时候 是 是不是
是否 有 有没有 有无 没有 没 不 不是 能 能不能 能否 能够 可以 可不可以 可否 会 会不会 要 要不要 该 应该 应不应该 想
想要 想问 想知道 请 请问 请教 问 问一下 问下 一下 一个 一些 一点 一种 个 就 就是 也 都 还 还是 还有 再 又 才 只 很
太 挺 比较 非常 和 与 及 或 或者 在 对 对于 关于 把 被 给 跟 从 到 向 往 以 而 而且 并且 但 但是 不过 如果 要是 因为
所以 然后 那么 其实 现在 目前 到底 究竟 可能 大概 知道 觉得 认为 说 讲 说说 讲讲 告诉 看 看看 看一下 来 去 做 让 用
需要 方面 问题 东西 时候 的话 的时候 上 里 中 下 呗 喂 你好 您好 谢谢 麻烦 帮 帮忙 好 好的 对吧 是吧 对不对 好不好
行不行 不能 不会 不要 不了 没了
干 干嘛 用 里面 最 多 大 多大 多久 多长 多高 多远 多快 多长时间 多少钱 钱 最多 最少 最多能 至少 一共 总共
"""
_STOP = frozenset((_STOP_EN + _STOP_ZH).split())

# The second one knows the words of Taiwan, too: 印表機 is 打印機 elsewhere.
_SIMPLIFIED, _OF_TAIWAN = OpenCC("t2s"), OpenCC("tw2sp")
_VARIANTS = str.maketrans("帐", "账")

_STEMMER = TextAnalyzerBuilder(Tokenizer.raw()).filter(Filter.stemmer("english")).build()


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    return str(_STEMMER.analyze(word)[0]) if word.isascii() else word


def terms(text: str) -> list[str]:
    """Index terms of a text, in order and with repeats: Chinese words, English stems, numbers; no words of filling.

    >>> terms("Um, how do I change the billing addresses?")
    ['chang', 'bill', 'address']
    >>> terms("请问每分钟最多能发1,000个请求吗")
    ['分钟', '每分钟', '发', '1000', '请求']
    >>> terms("印表機在哪裡設定") == terms("打印机在哪里设置")
    True
    """
    found = []
    for token in _TOKEN.finditer(unicodedata.normalize("NFKC", text).lower()):
        raw = token.group()
        if token.lastgroup == "han":
            found += [word for word in rjieba.cut_for_search(_simplified(raw), False) if word not in _STOP]
        elif token.lastgroup == "number":
            found.append(raw.replace(",", ""))
        else:
            word = re.split("['’]", raw)[0]
            if word not in _STOP and (len(word) > 1 or word.isdigit()):
                found.append(_stem(word))
    return found


def _simplified(text: str) -> str:
    """Traditional characters, and the words that go with them, as they are on the mainland."""
    traditional = _SIMPLIFIED.convert(text) != text
    return (_OF_TAIWAN.convert(text) if traditional else text).translate(_VARIANTS)


def language(text: str) -> str:
    """`zh` or `en`, by the share of Chinese characters; names in Latin letters do not make a question English.

    >>> language("RAG 怎么部署？"), language("What does 部署 mean here?")
    ('zh', 'en')
    """
    han = len(_HAN.findall(text))
    return "zh" if han and han * 2 >= len(text.split()) + 1 else "en"


def width(text: str) -> int:
    """Length in columns: a Chinese character says about as much as two Latin letters.

    >>> width("团队版 Pro")
    10
    """
    return sum(map(_columns, text))


def shortened(text: str, columns: int) -> str:
    """The beginning of a text, as wide as it may be.

    >>> shortened("团队版 Pro", 8)
    '团队版 P'
    """
    for end, used in enumerate(accumulate(map(_columns, text))):
        if used > columns:
            return text[:end]
    return text


def _columns(char: str) -> int:
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
