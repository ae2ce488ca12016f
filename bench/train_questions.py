"""Trains the question model: labelled sentences in, `pipeline/models/questions.bin` out, the same bytes for one seed.

Run: python -m bench.train_questions --data FOLDER [--out FILE] [--seed N]
"""

from __future__ import annotations

import argparse
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from bench.question_data import Row, figures, highest_good_threshold, precision_recall, read
from pipeline.classifier import Header, Model, Table, probability, read_model
from pipeline.features import hashes, is_chinese, plain

BUCKETS = 1 << 20
STRENGTH = {"en": 5.0, "zh": 8.0}  # inverse of the regularisation
LEAST = 2  # sentences in which an n-gram must occur
FOLDS = 3
STRICT = 0.9  # precision
GIVE = 0.003  # mean F1 given away for fewer false triggers
MODEL = "linear-1"
OUT = Path(__file__).parents[1] / "pipeline" / "models" / "questions.bin"
Vector = NDArray[np.float64]


def main() -> None:
    """Train both languages, choose thresholds on the development file, write the artefact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train, train_extra and dev (.jsonl.gz)")
    parser.add_argument("--out", type=Path, default=OUT, help="file to write")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = read(options.data, "train.jsonl.gz") + read(options.data, "train_extra.jsonl.gz")
    development = read(options.data, "dev.jsonl.gz")
    tables, weights = {}, b""
    for lang in ("en", "zh"):
        tables[lang], learned = train([row for row in rows if row.lang == lang], lang, options.seed)
        weights += learned
    draft = read_model(artefact(tables, weights))
    for lang in tables:
        chosen = thresholds(draft, [row for row in development if row.lang == lang])
        tables[lang] = msgspec.structs.replace(tables[lang], thresholds=chosen)
        print(lang, chosen)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(artefact(tables, weights))


def train(rows: Sequence[Row], lang: str, seed: int) -> tuple[Table, bytes]:
    """Fit one language: the table without thresholds, and one signed byte a bucket."""
    matrix = design([row.text for row in rows], lang == "zh")
    asks = np.array([row.question for row in rows])
    weight = balance(rows)
    slope, shift = calibration(rows, matrix, asks, weight, STRENGTH[lang], seed)
    coefficients, bias = fit(matrix, asks, weight, STRENGTH[lang], seed)
    step = float(np.abs(coefficients).max()) / 127
    learned = np.round(coefficients / step).astype(np.int8)
    return Table(round(slope * bias + shift, 6), round(slope * step, 9), {}), learned.tobytes()


def design(texts: Sequence[str], chinese: bool) -> csr_matrix:
    """One row a sentence, one column a bucket; rows have length one, n-grams that are too rare to learn included."""
    read_as = [hashes(plain(text), chinese) for text in texts]
    counts = Counter(found for sentence in read_as for found in sentence)
    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    for sentence in read_as:
        value = max(1, len({found & (BUCKETS - 1) for found in sentence})) ** -0.5
        learned = {found & (BUCKETS - 1) for found in sentence if counts[found] >= LEAST}
        columns += sorted(learned)
        values += [value] * len(learned)
        ends.append(len(columns))
    return csr_matrix((values, np.array(columns, np.int32), np.array(ends, np.int32)), shape=(len(texts), BUCKETS))


def balance(rows: Sequence[Row]) -> Vector:
    """Weights that lift small sources by the root of what they lack; their mean is one."""
    sizes = Counter(row.source for row in rows)
    weight = np.array([sizes[row.source] ** -0.5 for row in rows])
    return np.asarray(weight / weight.mean())


def fit(matrix: csr_matrix, asks: Vector, weight: Vector, strength: float, seed: int) -> tuple[Vector, float]:
    """Logistic regression over the columns that occur; the rest stay zero."""
    used = np.unique(matrix.indices)
    model = LogisticRegression(C=strength, solver="liblinear", max_iter=300, random_state=seed)
    model.fit(matrix[:, used], asks, sample_weight=weight)
    coefficients = np.zeros(BUCKETS)
    coefficients[used] = model.coef_[0]
    return coefficients, float(model.intercept_[0])


def calibration(
    rows: Sequence[Row], matrix: csr_matrix, asks: Vector, weight: Vector, strength: float, seed: int
) -> tuple[float, float]:
    """Slope and shift that make log-odds of unseen conversations true: fitted on conversations left out in turn."""
    fold = np.array([zlib.crc32(f"{row.source}/{row.conv}".encode()) % FOLDS for row in rows])
    unseen = np.zeros(len(rows))
    for left_out in range(FOLDS):
        kept = fold != left_out
        coefficients, bias = fit(matrix[kept], asks[kept], weight[kept], strength, seed)
        unseen[~kept] = matrix[~kept] @ coefficients + bias
    platt = LogisticRegression(C=1e6).fit(unseen[:, None], asks)
    return float(platt.coef_[0, 0]), float(platt.intercept_[0])


def thresholds(model: Model, rows: Sequence[Row]) -> dict[str, float]:
    """Fixed probabilities of the profiles, chosen on development rows of one language.

    balanced: the highest that costs next to none of the best mean F1 over sources; eager: the best where recall counts
    double; strict: the lowest with a precision of 0.9 from there on.
    """
    read_as = [(plain(row.text), is_chinese(row.text, row.lang)) for row in rows]
    scores = [probability(model.log_odds(text, chinese)) for text, chinese in read_as]
    pairs = [(score, row.question) for score, row in zip(scores, rows, strict=True)]

    def recall_first(threshold: float) -> float:
        precision, recall = precision_recall(pairs, threshold)
        return 5 * precision * recall / max(1e-9, 4 * precision + recall)

    loose = [step / 100 for step in range(2, 99) if precision_recall(pairs, step / 100)[0] < STRICT]
    balanced = highest_good_threshold(lambda threshold: figures(rows, scores, threshold).f1, GIVE)
    return {
        "eager": min(highest_good_threshold(recall_first, 0.0), balanced),
        "balanced": balanced,
        "strict": max(balanced, round(max(loose, default=0.0) + 0.01, 2)),
    }


def artefact(tables: dict[str, Table], weights: bytes) -> bytes:
    """The bytes of a model file."""
    return msgspec.json.encode(Header(MODEL, BUCKETS, tables)) + b"\n" + weights


if __name__ == "__main__":
    main()
