"""The fine-tuning of the transformer: batches of sentences of like length, some with recognition errors."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from bench.noise import Noise
from bench.question_data import Row
from bench.transformer import PADDING, Classifier
from pipeline.features import plain

BATCH = 64
SORTED = 50 * BATCH  # sentences that are sorted by length at a time
EPOCHS = 2
RATE = 1.5e-4
WARM_UP = 0.08  # share of the steps
HEARD = 0.4  # share of the sentences that get recognition errors


class Sample(NamedTuple):
    """What is learned from: rows, how they are read, their errors by language, and the chance that draws them."""

    rows: Sequence[Row]
    tokenizer: Tokenizer
    noise: Mapping[str, Noise]
    chance: random.Random

    def batches(self) -> Iterator[tuple[Tensor, list[Row]]]:
        """All rows once, by chance: ids of pieces (batch, length) and their rows."""
        order = list(range(len(self.rows)))
        self.chance.shuffle(order)
        for at in range(0, len(order) - BATCH + 1, SORTED):
            group = [self.rows[index] for index in order[at : at + SORTED]]
            encoded = [found.ids for found in self.tokenizer.encode_batch([self._heard(row) for row in group])]
            by_length = sorted(range(len(group)), key=lambda index: len(encoded[index]))
            parts = [by_length[first : first + BATCH] for first in range(0, len(by_length) - BATCH + 1, BATCH)]
            self.chance.shuffle(parts)
            for part in parts:
                yield padded([encoded[index] for index in part]), [group[index] for index in part]

    def _heard(self, row: Row) -> str:
        text = plain(row.text)
        return self.noise[row.lang].add(text) if self.chance.random() < HEARD else text


def padded(sentences: Sequence[list[int]]) -> Tensor:
    """Ids of several sentences, filled up to the longest."""
    longest = max(map(len, sentences))
    return torch.tensor([ids + [PADDING] * (longest - len(ids)) for ids in sentences])


def fit(model: Classifier, sample: Sample) -> None:
    """Fine-tune; small sources count more by the root of what they lack, as in the linear model."""
    sizes = Counter(row.source for row in sample.rows)
    worth = {source: size**-0.5 for source, size in sizes.items()}
    mean = sum(worth[row.source] for row in sample.rows) / len(sample.rows)
    pieces = model.word.weight
    rest = [parameter for parameter in model.parameters() if parameter is not pieces]
    optimisers = (
        torch.optim.AdamW(rest, lr=RATE, weight_decay=0.01, fused=True),
        torch.optim.SparseAdam([pieces], lr=RATE),  # of 28,000 pieces a batch has some hundred
    )
    steps, step = EPOCHS * (len(sample.rows) // BATCH), 0
    model.train()
    for _ in range(EPOCHS):
        for ids, rows in sample.batches():
            rate = min((step + 1) / (WARM_UP * steps), (steps - step) / ((1 - WARM_UP) * steps))
            for optimiser in optimisers:
                optimiser.param_groups[0]["lr"] = RATE * max(rate, 0.01)
                optimiser.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                odds = model(ids)
            asks = torch.tensor([float(row.question) for row in rows])
            loss = functional.binary_cross_entropy_with_logits(odds.float(), asks, reduction="none")
            (loss * torch.tensor([worth[row.source] / mean for row in rows])).mean().backward()
            torch.nn.utils.clip_grad_norm_(rest, 1.0)
            for optimiser in optimisers:
                optimiser.step()
            step += 1
            if step % 100 == 0:
                print(f"step {step} of {steps}", file=sys.stderr, flush=True)
