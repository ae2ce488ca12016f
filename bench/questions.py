"""Prints how well and how fast questions are detected on the development files, beside a list of keywords.

Run: python -m bench.questions --data FOLDER
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.question_data import Row, figures, precision_recall, read
from pipeline.classifier import default_model
from pipeline.questions import PROFILES, detect, thresholds

_KEYWORDS = re.compile(
    r"\b(what|how|who|where|when|why|which|is|are|do|does|did|can|could|will|would|should)\b|"
    r"[吗呢]$|什么|怎么|多少|几|哪|谁|为何|是不是|有没有|能不能|如何"
)
HEAD = "{:<9}{:<4}{:>7}  {:>7}{:>7}{:>9}{:>9}   {}"
LINE = "{:<9}{:<4}{:>7}  {:>7.3f}{:>7.3f}{:>9.3f}{:>9.1f}   {}"


def main() -> None:
    """Print one table for each of: clean and noisy rows, profiles, cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with dev and dev_noisy (.jsonl.gz)")
    folder = parser.parse_args().data
    clean, noisy = read(folder, "dev.jsonl.gz"), read(folder, "dev_noisy.jsonl.gz")
    fixed = thresholds()
    print(" ".join(f"{lang}={threshold}" for lang, threshold in fixed.items()))
    print(HEAD.format("rows", "", "n", "F1", "AP", "R@P.9", "false/k", "F1 by source"))
    for lang, threshold in fixed.items():
        mine = [row for row in clean if row.lang == lang]
        noised = [row for row in noisy if row.lang == lang]
        heard_well = [Row(row.clean, lang, row.question, row.source, row.conv) for row in noised]
        for name, rows in (("clean", mine), ("noisy", noised), ("same", heard_well)):
            print_row(name, lang, rows, model_score, threshold)
        print_row("keywords", lang, mine, keyword_score, 0.5)
    print_profiles(clean)
    print_cost(clean)


def model_score(row: Row) -> float:
    """Probability by the default model."""
    return detect(row.text, lang=row.lang).score


def keyword_score(row: Row) -> float:
    """One where any question word stands anywhere: what a list of keywords can do."""
    return float(bool(_KEYWORDS.search(row.text)))


def print_row(name: str, lang: str, rows: Sequence[Row], score: Callable[[Row], float], threshold: float) -> None:
    """Print the figures of one set of rows."""
    scores = [score(row) for row in rows]
    result = figures(rows, scores, threshold)
    pairs = [(value, row.question) for value, row in zip(scores, rows, strict=True)]
    recalls = [recall for step in range(1, 100) for precision, recall in [precision_recall(pairs, step / 100)]
               if precision >= 0.9]  # fmt: skip
    sources = " ".join(f"{source} {f1:.2f}" for source, f1 in result.by_source.items())
    figure = (result.f1, result.average_precision, max(recalls, default=0.0), result.false_triggers)
    print(LINE.format(name, lang, len(rows), *figure, sources))


def print_profiles(rows: Sequence[Row]) -> None:
    """Print precision and recall over all rows of a language, by profile."""
    print("\nprofile   lang threshold precision recall")
    for profile in PROFILES:
        if profile in ("all", "off"):
            continue
        for lang, threshold in thresholds(profile).items():
            pairs = [(model_score(row), row.question) for row in rows if row.lang == lang]
            precision, recall = precision_recall(pairs, threshold)
            print(f"{profile:<9} {lang:<4} {threshold:>9.2f} {precision:>9.3f} {recall:>6.3f}")


def print_cost(rows: Sequence[Row]) -> None:
    """Print microseconds a sentence with its reason, load time and size."""
    default_model.cache_clear()
    begun = time.perf_counter()
    model = default_model()
    print(f"\nload {1e3 * (time.perf_counter() - begun):.1f} ms, {sum(map(len, model.weights.values())) / 1e6:.1f} MB")
    for lang in thresholds():
        spent = sorted(seconds(row) for row in rows if row.lang == lang)
        p50, p99 = spent[len(spent) // 2], spent[int(len(spent) * 0.99)]
        print(f"{lang}: mean {1e6 * sum(spent) / len(spent):.0f} us, p50 {1e6 * p50:.0f} us, p99 {1e6 * p99:.0f} us")


def seconds(row: Row) -> float:
    """How much processor time one verdict takes."""
    begun = time.process_time()
    detect(row.text, lang=row.lang)
    return time.process_time() - begun


if __name__ == "__main__":
    main()
