"""The fine-tuning of the transformer: each step a batch of sentences, and one of windows of running speech."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from bench.noise import Noise, heard
from bench.question_data import Row
from bench.running import UNKNOWN, Running, Window
from bench.transformer import PADDING, Listener
from pipeline.transformer import BEGIN, END

BATCH = 96  # sentences
PIECES = 2048  # of windows in a batch
SORTED = 50 * BATCH  # sentences that are sorted by length at a time
WINDOWS = 1200  # windows that are
EPOCHS = 4  # of the windows
RATE = 2.5e-4
WARM_UP = 0.06  # share of the steps
HEARD = 0.4  # share of the sentences that get recognition errors
ASKS, SENTENCES = 0.3, 0.5  # worth of what is asked in windows, and of sentences; that of the ends is one
WITHIN = 0.2  # worth of a piece that ends no sentence for what is asked there


class Sample(NamedTuple):
    """What is learned from: rows, how they are read, their errors by language, and the chance that draws them."""

    rows: Sequence[Row]
    tokenizer: Tokenizer
    noise: Mapping[str, Noise]
    chance: random.Random

    def batches(self) -> Iterator[tuple[Tensor, list[Row]]]:
        """Rows by chance, over and over: ids of pieces (batch, length) and their rows."""
        order = list(range(len(self.rows)))
        while True:
            self.chance.shuffle(order)
            for at in range(0, len(order) - BATCH + 1, SORTED):
                group = [self.rows[index] for index in order[at : at + SORTED]]
                said = [heard(row, self.noise, self.chance, HEARD) for row in group]
                encoded = [found.ids for found in self.tokenizer.encode_batch(said)]
                by_length = sorted(range(len(group)), key=lambda index: len(encoded[index]))
                parts = [by_length[first : first + BATCH] for first in range(0, len(by_length) - BATCH + 1, BATCH)]
                self.chance.shuffle(parts)
                for part in parts:
                    yield padded([encoded[index] for index in part]), [group[index] for index in part]


def window_batches(running: Running, chance: random.Random) -> Iterator[list[Window]]:
    """All windows once, by chance, those of like length together."""
    windows = list(running.windows())
    chance.shuffle(windows)
    for at in range(0, len(windows), WINDOWS):
        groups: list[list[Window]] = [[]]
        for window in sorted(windows[at : at + WINDOWS], key=lambda window: len(window.pieces)):
            if (len(groups[-1]) + 1) * len(window.pieces) > PIECES:
                groups.append([])
            groups[-1].append(window)
        chance.shuffle(groups)
        yield from groups


def padded(sentences: Sequence[list[int]]) -> Tensor:
    """Ids of several sentences, filled up to the longest."""
    return _filled(sentences, PADDING)


def _filled(rows: Sequence[list], filling: float) -> Tensor:  # type: ignore[type-arg]
    longest = max(map(len, rows))
    return torch.tensor([row + [filling] * (longest - len(row)) for row in rows])


class Worth:
    """What a source counts for: small ones more, by the root of what they lack, as in the linear model."""

    def __init__(self, sources: Iterable[str]) -> None:
        sizes = Counter(sources)
        mean = sum(size**0.5 for size in sizes.values()) / sizes.total()
        self._worth = {source: size**-0.5 / mean for source, size in sizes.items()}

    def __call__(self, sources: Iterable[str]) -> Tensor:
        """Of each."""
        return torch.tensor([self._worth[source] for source in sources])


def sentence_loss(model: Listener, ids: Tensor, rows: Sequence[Row], worth: Worth) -> Tensor:
    """How wrong the model is about sentences."""
    with torch.autocast("cpu", torch.bfloat16):
        odds, _ = model(ids)
    asks = torch.tensor([float(row.question) for row in rows])
    return (_entropy(odds, asks) * worth(row.source for row in rows)).mean()


def window_loss(model: Listener, windows: Sequence[Window], worth: Worth) -> Tensor:
    """How wrong the model is about running speech. A source is as large as what was said in it."""
    with torch.autocast("cpu", torch.bfloat16):
        _, places = model(padded([[BEGIN, *window.pieces, END] for window in windows]))
    ends, asks = (
        _filled([[UNKNOWN, *labels, UNKNOWN] for labels in (getattr(window, name) for window in windows)], UNKNOWN)
        for name in ("ends", "asks")
    )
    weight = worth(window.source for window in windows)[:, None] * (ends != UNKNOWN)
    beside = weight * (1.0 + ends * asks)  # what is not parted from a question hides it
    asked = weight * (WITHIN + (1.0 - WITHIN) * ends.clamp(min=0.0))
    lost = [(_entropy(places[..., at], labels.clamp(min=0.0)) * share).sum() / share.sum()
            for at, (labels, share) in enumerate([(ends, beside), (asks, asked)])]  # fmt: skip
    return lost[0] + ASKS * lost[1]


def _entropy(odds: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(odds.float(), labels, reduction="none")


def fit(model: Listener, sample: Sample, running: Running) -> None:
    """Fine-tune."""
    worth = Worth(row.source for row in sample.rows), Worth(running.sources())
    pieces = model.word.weight
    rest = [parameter for parameter in model.parameters() if parameter is not pieces]
    optimisers = (
        torch.optim.AdamW(rest, lr=RATE, weight_decay=0.01, fused=True),
        torch.optim.SparseAdam([pieces], lr=RATE),  # of 28,000 pieces a batch has some hundred
    )
    steps = EPOCHS * sum(1 for _ in window_batches(running, sample.chance))
    step, sentences = 0, sample.batches()
    model.train()
    while step < steps:
        for windows in window_batches(running, sample.chance):
            rate = min((step + 1) / (WARM_UP * steps), (steps - step) / ((1 - WARM_UP) * steps))
            for optimiser in optimisers:
                optimiser.param_groups[0]["lr"] = RATE * max(rate, 0.01)
                optimiser.zero_grad(set_to_none=True)
            lost = window_loss(model, windows, worth[1]), SENTENCES * sentence_loss(model, *next(sentences), worth[0])
            for one in lost:
                one.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(rest, 1.0)
            for optimiser in optimisers:
                optimiser.step()
            step += 1
            if step % 50 == 0:
                print(f"step {step} of {steps}: {lost[0]:.3f} {lost[1]:.3f}", file=sys.stderr, flush=True)
