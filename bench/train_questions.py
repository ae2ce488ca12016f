"""Trains the question model: labelled sentences in, `pipeline/models/questions.bin` out, the same bytes for one seed.

Run: realtime-rag train questions --data FOLDER [--out FILE] [--seed N]
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from bench.noise import Noise
from bench.question_data import Row, read_lessons
from bench.thresholds import profile_thresholds, read_development
from pipeline.artefacts import Header
from pipeline.classifier import Table, read_model
from pipeline.features import hashes, plain

BUCKETS = 1 << 20
STRENGTH = {"en": 5.0, "zh": 8.0}  # inverse of the regularisation
HEARD_AGAIN = {"en": 2, "zh": 1}  # times that a sentence is learned with recognition errors
HEARD_WEIGHT = {"en": 0.8, "zh": 0.5}  # of a sentence with errors
LEAST = 2  # sentences in which an n-gram must occur
FOLDS = 3
LANGS = ("en", "zh")
MODEL = "linear-3"
Vector = NDArray[np.float64]


class Lessons(NamedTuple):
    """What one language is learned from: its rows, then the same again with recognition errors, and their n-grams."""

    rows: list[Row]
    clean: int  # rows without errors, which come first
    matrix: csr_matrix


def write_model(data: Path, out: Path, seed: int) -> dict[str, Table]:
    """Train both languages, choose thresholds on the development file, write the artefact; gives its tables.

    Args:
        data: folder with train, train_extra, dev and dev_noisy (.jsonl.gz).
        out: file to write.
        seed: of the errors and of the solver; the same seed gives the same bytes.
    """
    rows, development = read_training(data), {lang: read_development(data, lang) for lang in LANGS}
    tables, weights = {}, b""
    for lang in LANGS:
        tables[lang], learned = train(lessons(rows, lang, seed), lang, seed)
        weights += learned
    draft = read_model(artefact(tables, weights))
    for lang in LANGS:
        chosen = profile_thresholds(draft, development[lang])
        tables[lang] = msgspec.structs.replace(tables[lang], thresholds=chosen)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(artefact(tables, weights))
    return tables


def read_training(data: Path) -> list[Row]:
    """All rows that may be learned from."""
    return read_lessons(data, "train.jsonl.gz") + read_lessons(data, "train_extra.jsonl.gz")


def lessons(rows: Sequence[Row], lang: str, seed: int) -> Lessons:
    """The rows of a language with their n-grams; the errors are made from the same rows."""
    clean = [msgspec.structs.replace(row, text=plain(row.text)) for row in rows if row.lang == lang]
    noise = Noise([row.text for row in clean], lang, seed)
    said = clean * HEARD_AGAIN[lang]
    heard = [msgspec.structs.replace(row, text=noise.add(row.text)) for row in said]
    both = clean + [row for row, once in zip(heard, said, strict=True) if row.text != once.text]
    return Lessons(both, len(clean), design([row.text for row in both], lang == "zh"))


def train(learned_from: Lessons, lang: str, seed: int, left_out: str = "") -> tuple[Table, bytes]:
    """Fit one language without the source `left_out`: the table without thresholds, and one signed byte a bucket."""
    kept = np.array([row.source != left_out for row in learned_from.rows])
    rows = [row for row, keep in zip(learned_from.rows, kept, strict=True) if keep]
    matrix, asks, weight = learned_from.matrix[kept], np.array([row.question for row in rows]), balance(rows)
    clean = np.arange(len(rows)) < int(kept[: learned_from.clean].sum())
    weight = np.where(clean, weight, weight * HEARD_WEIGHT[lang])
    slope, shift = calibration(rows, matrix, asks, weight, clean, STRENGTH[lang], seed)
    coefficients, bias = fit(matrix, asks, weight, STRENGTH[lang], seed)
    step = float(np.abs(coefficients).max()) / 127
    learned = np.round(coefficients / step).astype(np.int8)
    return Table(round(slope * bias + shift, 6), round(slope * step, 9), {}), learned.tobytes()


def design(texts: Sequence[str], chinese: bool) -> csr_matrix:
    """One row a `plain` sentence, one column a bucket; rows have length one, what is too rare to learn included."""
    read_as = [hashes(text, chinese) for text in texts]
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
    rows: Sequence[Row], matrix: csr_matrix, asks: Vector, weight: Vector, clean: Vector, strength: float, seed: int
) -> tuple[float, float]:
    """Slope and shift that make log-odds of unseen conversations true: fitted on conversations left out in turn.

    The rows with errors are learned from, but not counted: how often people ask is known of the clean ones.
    """
    fold = np.array([zlib.crc32(f"{row.source}/{row.conv}".encode()) % FOLDS for row in rows])
    unseen = np.zeros(len(rows))
    for left_out in range(FOLDS):
        kept = fold != left_out
        coefficients, bias = fit(matrix[kept], asks[kept], weight[kept], strength, seed)
        unseen[~kept] = matrix[~kept] @ coefficients + bias
    platt = LogisticRegression(C=1e6).fit(unseen[clean, None], asks[clean])
    return float(platt.coef_[0, 0]), float(platt.intercept_[0])


def artefact(tables: dict[str, Table], weights: bytes) -> bytes:
    """The bytes of a model file."""
    return msgspec.json.encode(Header(MODEL, dict.fromkeys(tables, BUCKETS), tables)) + b"\n" + weights
