"""Labelled sentences in, the same artefact for the same seed out; and what recognition errors do to a sentence."""

from __future__ import annotations

import gzip
import json
from itertools import product
from pathlib import Path

import pytest

from bench.noise import Noise
from bench.train_questions import write_model
from pipeline.classifier import Model, probability, read_model
from pipeline.features import plain

pytestmark = pytest.mark.unit

ASKING = {"en": "what is the {} of the {}", "zh": "{}的{}是多少"}
TELLING = {"en": "the {} belongs to the {}", "zh": "{}的{}已经好了"}
THINGS = {"en": ["price", "colour", "name", "size", "weight"], "zh": ["价格", "颜色", "名字", "大小", "重量"]}
OWNERS = {"en": ["hall", "river", "parcel", "train", "desk"], "zh": ["大厅", "小河", "包裹", "火车", "桌子"]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        {"text": form[lang].format(*words), "lang": lang, "question": form is ASKING, "source": lang, "conv": words[1]}
        for lang in ("en", "zh")
        for form in (ASKING, TELLING)
        for words in product(THINGS[lang], OWNERS[lang])
    ]
    for name in ("train", "train_extra", "dev", "dev_noisy"):
        with gzip.open(tmp_path / f"{name}.jsonl.gz", "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row | {"clean": row["text"]}) + "\n" for row in rows)
    return tmp_path


def trained(data: Path, seed: int) -> bytes:
    out = data / "model" / "questions.bin"
    write_model(data, out, seed)
    return out.read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_a_model_that_has_learned(data: Path) -> None:
    first = trained(data, 1)
    assert trained(data, 1) == first
    assert trained(data, 2) != first
    model = read_model(first)
    assert score(model, "what is the length of the bridge") > 0.8 > 0.2 > score(model, "the bridge belongs to us")
    assert score(model, "桥的长度是多少") > 0.8 > 0.2 > score(model, "桥已经好了")


def score(model: Model, text: str) -> float:
    return probability(model.log_odds(plain(text), not text.isascii()))


def test_errors_replace_by_what_sounds_alike_lose_and_add() -> None:
    texts = ["i can't find the right write rite", "他在这里再说一次"] * 30
    english, chinese = Noise(texts[::2], "en", 1, replaced=0.5), Noise(texts[1::2], "zh", 1, replaced=0.5)
    heard = " ".join(english.add(text) for text in texts[::2])
    assert {"cant", "write", "rite", "um"} <= set(heard.split())
    assert heard.count("right") < 60
    assert any(character in "嗯呃" for text in texts[1::2] for character in chinese.add(text))
    assert "再这里" in "".join(chinese.add("在这里") for _ in range(30))


def test_a_sentence_never_gets_lost_whole() -> None:
    noise = Noise(["yes"], "en", 1, replaced=0.0, lost=0.5)
    assert all(noise.add("yes") for _ in range(50))
    assert noise.add("") == ""
