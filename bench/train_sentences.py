"""Trains the sentence model: conversations in, `pipeline/models/sentences.bin` out, the same bytes for one seed.

A place between two sentences that follow each other is an end; a place inside one is none.

Run: realtime-rag train sentences --data FOLDER [--out FILE] [--seed N]
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from bench.question_data import Row, average_precision, precision_recall, read
from bench.train_questions import read_training
from pipeline.artefacts import Header
from pipeline.endings import RIGHT, Model, Table, Word, hashes, read_model, words

BUCKETS = {"gap": 1 << 19, "end": 1 << 18}
STRENGTH = 0.5  # inverse of the regularisation
LEAST = 3  # places at which a feature must occur
BESIDE = 2.0  # weight of an end beside a question: what is not parted from it hides it
INSIDE = 4  # places inside a sentence that are looked at; they stand for all of them
MODEL = "sentences-2"
Vector = NDArray[np.float64]


class Place(NamedTuple):
    """A place in speech: the words of the open sentence before it, words after it, whether a sentence ends there."""

    left: list[Word]
    right: list[Word]
    ends: bool
    weight: float
    source: str


def write_model(data: Path, out: Path, seed: int) -> Model:
    """Train both tables and write the artefact; gives the model.

    Args:
        data: folder with train and train_extra (.jsonl.gz).
        out: file to write.
        seed: of the places that are looked at and of the solver; the same seed gives the same bytes.
    """
    places = list(places_of(read_training(data), seed))
    tables, weights = {}, b""
    for name in BUCKETS:
        tables[name], learned = train(places, name, seed)
        weights += learned
    artefact = msgspec.json.encode(Header(MODEL, BUCKETS, tables)) + b"\n" + weights
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(artefact)
    return read_model(artefact)


def show(model: Model, data: Path, seed: int) -> None:
    """Print average precision on the development file, and precision and recall at log-odds of -1 to 2, by source."""
    places = list(places_of(read(data, "dev.jsonl.gz"), seed))
    for name in BUCKETS:
        by_source: dict[str, list[tuple[float, bool]]] = defaultdict(list)
        for place in places:
            score = model.gap(place.left, place.right) if name == "gap" else model.end(place.left)
            by_source[place.source] += [(score, place.ends)]
        for source, pairs in sorted(by_source.items()):
            points = [precision_recall(pairs, line) for line in (-1, 0, 1, 2)]
            at = "  ".join(f"{precision:.2f} {recall:.2f}" for precision, recall in points)
            print(f"{name} {source:<12} {len(pairs):>6}  AP {average_precision(pairs):.3f}  {at}")


def places_of(rows: Iterable[Row], seed: int) -> Iterator[Place]:
    """Places of all conversations: at each end that is known, and at a few inside each sentence."""
    dice = random.Random(seed)
    conversations: dict[tuple[str, str | int], dict[int, list[Word]]] = defaultdict(dict)
    asking = set()
    for row in rows:
        if read := words(row.text):
            conversations[row.source, row.conv][row.idx] = read
            if row.question:
                asking |= {(row.source, row.conv, row.idx - 1), (row.source, row.conv, row.idx)}
    for (source, conv), sentences in sorted(conversations.items(), key=str):
        for index, sentence in sorted(sentences.items()):
            rest = [word for later in range(index + 1, index + 4) for word in sentences.get(later, [])][:RIGHT]
            if index + 1 in sentences:
                beside = (source, conv, index) in asking
                yield Place(sentence, rest[: dice.randint(1, RIGHT)], True, BESIDE if beside else 1.0, source)
            inside = range(1, len(sentence))
            chosen = dice.sample(inside, min(INSIDE, len(inside)))
            for at in sorted(chosen):
                right = (sentence[at:] + rest)[: dice.randint(1, RIGHT)]
                yield Place(sentence[:at], right, False, len(inside) / len(chosen), source)


def train(places: Sequence[Place], name: str, seed: int) -> tuple[Table, bytes]:
    """Fit one table: its scale, and one signed byte a bucket."""
    matrix = design(places, name)
    ends = np.array([place.ends for place in places])
    sizes = Counter(place.source for place in places)
    weight = np.array([place.weight * sizes[place.source] ** -0.5 for place in places])
    used = np.unique(matrix.indices)
    model = LogisticRegression(C=STRENGTH, solver="liblinear", max_iter=200, random_state=seed)
    model.fit(matrix[:, used], ends, sample_weight=weight / weight.mean())
    coefficients = np.zeros(BUCKETS[name])
    coefficients[used] = model.coef_[0]
    step = float(np.abs(coefficients).max()) / 127
    learned = np.round(coefficients / step).astype(np.int8)
    return Table(round(float(model.intercept_[0]), 6), round(step, 9)), learned.tobytes()


def design(places: Sequence[Place], name: str) -> csr_matrix:
    """One row a place, one column a bucket."""
    read = [hashes(place.left, place.right if name == "gap" else ()) for place in places]
    counts = Counter(found for place in read for found in place)
    columns: list[int] = []
    ends = [0]
    for place in read:
        columns += [found & (BUCKETS[name] - 1) for found in place if counts[found] >= LEAST]
        ends.append(len(columns))
    shape = (len(places), BUCKETS[name])
    matrix = csr_matrix((np.ones(len(columns)), np.array(columns, np.int32), np.array(ends, np.int32)), shape=shape)
    matrix.sum_duplicates()
    return matrix
