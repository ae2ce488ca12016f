"""Prints how well and how fast questions are detected on the development files, beside a list of keywords.

Run: python -m bench.questions --data FOLDER [--left-out]
With `--left-out` the linear model is trained anew without each source and judged on it, which takes some minutes.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from bench.question_data import FEW, Row, calibration_error, figures, precision_recall
from bench.thresholds import Development, read_development, scores
from pipeline.cascade import MODELS, model_of
from pipeline.classifier import ARTEFACT, Classifier, default_model, probability
from pipeline.features import plain
from pipeline.questions import PROFILES, detect, thresholds
from pipeline.transformer import ARTEFACT as TRANSFORMER
from pipeline.transformer import default_transformer

LANGS = ("en", "zh")
SEED = 1
_KEYWORDS = re.compile(
    r"\b(what|how|who|where|when|why|which|is|are|do|does|did|can|could|will|would|should)\b|"
    r"[吗呢]$|什么|怎么|多少|几|哪|谁|为何|是不是|有没有|能不能|如何"
)
HEAD = "{:<9}{:<6}{:<4}{:>7}  {:>7}{:>7}{:>9}{:>9}   {}"
LINE = "{:<9}{:<6}{:<4}{:>7}  {:>7.3f}{:>7.3f}{:>9.3f}{:>9.1f}   {}"


class Scored(NamedTuple):
    """Rows with the probability of each."""

    rows: Sequence[Row]
    scores: Sequence[float]


def main() -> None:
    """Print a table of models, of profiles, of cost, and of sources that were left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with dev and dev_noisy (.jsonl.gz)")
    parser.add_argument("--left-out", action="store_true", help="train without each source (needs train, train_extra)")
    options = parser.parse_args()
    development = {lang: read_development(options.data, lang) for lang in LANGS}
    print(HEAD.format("model", "rows", "", "n", "F1", "AP", "R@P.9", "false/k", "F1 by source"))
    for lang, rows in development.items():
        print_row("keywords", "clean", lang, Scored(rows.clean, [keyword_score(row) for row in rows.clean]), 0.5)
        for model in MODELS:
            print_model(model, lang, rows)
    print_profiles({lang: rows.clean for lang, rows in development.items()})
    print_cost({lang: rows.clean for lang, rows in development.items()})
    if options.left_out:
        print_left_out(options.data, development)


def keyword_score(row: Row) -> float:
    """One where any question word stands anywhere: what a list of keywords can do."""
    return float(bool(_KEYWORDS.search(row.text)))


def print_model(model: str, lang: str, rows: Development) -> None:
    """Print the figures of a model: of clean rows, of noisy ones, and of these before they became noisy."""
    judge, threshold = model_of(model), thresholds(model=model)[lang]
    same = [Row(row.clean, lang, row.question, row.source, row.conv) for row in rows.noisy]
    for name, some in (("clean", rows.clean), ("noisy", rows.noisy), ("same", same)):
        print_row(model, name, lang, Scored(some, scores(judge, some)), threshold)


def print_row(model: str, name: str, lang: str, scored: Scored, threshold: float) -> None:
    """Print the figures of one set of rows."""
    result = figures(scored.rows, scored.scores, threshold)
    pairs = [(score, row.question) for row, score in zip(*scored, strict=True)]
    recalls = [recall for step in range(1, 100) for precision, recall in [precision_recall(pairs, step / 100)]
               if precision >= 0.9]  # fmt: skip
    sources = " ".join(f"{source} {f1:.2f}" for source, f1 in result.by_source.items())
    figure = (result.f1, result.average_precision, max(recalls, default=0.0), result.false_triggers)
    print(LINE.format(model, name, lang, len(scored.rows), *figure, sources), flush=True)


def print_profiles(clean: dict[str, list[Row]]) -> None:
    """Print precision and recall over all rows of a language, by profile."""
    print("\nmodel     profile   lang threshold precision recall")
    for model in MODELS:
        for lang, rows in clean.items():
            pairs = [(score, row.question) for score, row in zip(scores(model_of(model), rows), rows, strict=True)]
            print(f"{model:<9} calibration error {lang:<4} {calibration_error(pairs):.3f}")
            for profile in PROFILES[:3]:
                threshold = thresholds(profile, model)[lang]
                precision, recall = precision_recall(pairs, threshold)
                print(f"{model:<9} {profile:<9} {lang:<4} {threshold:>9.2f} {precision:>9.3f} {recall:>6.3f}")


def print_cost(clean: dict[str, list[Row]]) -> None:
    """Print load time, size, and time of a sentence with its reason; of the transformer where the cascade asks it."""
    low, high = default_transformer().card.unsure
    for name, load, artefact in (("linear", default_model, ARTEFACT), ("onnx", default_transformer, TRANSFORMER)):
        size = len(resources.files("pipeline").joinpath("models", artefact).read_bytes())
        load.cache_clear()
        print(f"\n{name}: {size / 1e6:.1f} MB, load {1e3 * seconds(load):.1f} ms")
        for lang, rows in clean.items():
            asked = [row for row in rows if name == "linear" or low < odds_of(default_model(), row) < high]
            spent = sorted(seconds(partial(detect, row.text, lang=lang, model=name)) for row in asked)
            mean, p50, p99 = sum(spent) / len(spent), spent[len(spent) // 2], spent[int(len(spent) * 0.99)]
            figure = " ".join(f"{value * 1e6:.0f}" for value in (mean, p50, p99))
            print(f"{lang}: {len(asked) / len(rows):.0%} of the sentences; mean, p50, p99 in us: {figure}")


def odds_of(model: Classifier, row: Row) -> float:
    """The probability of one row."""
    return probability(model.log_odds(plain(row.text), row.lang == "zh"))


def seconds(work: Callable[[], object]) -> float:
    """How much processor time it takes."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def print_left_out(data: Path, development: dict[str, Development]) -> None:
    """Print figures of each source by a linear model that has learned from the others alone."""
    from bench.train_questions import artefact, lessons, read_training, train
    from pipeline.classifier import read_model

    rows = read_training(data)
    print("\n" + HEAD.format("left out", "rows", "", "n", "F1", "AP", "R@P.9", "false/k", ""))
    for lang in LANGS:
        learned = lessons(rows, lang, SEED)
        asked = Counter(row.source for row in development[lang].clean if row.question)
        for source in sorted(source for source, questions in asked.items() if questions >= FEW):
            table, weights = train(learned, lang, SEED, left_out=source)
            judge = read_model(artefact({lang: table}, weights))
            some = [row for row in development[lang].clean if row.source == source]
            print_row("linear", "left", lang, Scored(some, scores(judge, some)), thresholds()[lang])


if __name__ == "__main__":
    main()
