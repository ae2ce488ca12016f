"""The transformer that is fine-tuned to hear ends and questions: the lower layers of multilingual-e5-small.

Needs torch and tokenizers, which the project itself does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from torch.nn import functional

from bench.e5 import E5
from pipeline.transformer import LONGEST, PLACES

PIECES = 28_000
LAYERS = 6
SPECIAL = 4  # begin, padding, end, unknown
PADDING = 1


def pruned_tokenizer(e5: E5, texts: Iterable[str]) -> tuple[Tokenizer, list[int]]:
    """A tokeniser of the pieces that the texts use, filled up with the likeliest others; and their former ids.

    Single characters stay before longer pieces: with them nothing common is unknown.
    """
    counts = Counter(piece for encoded in _tokenizer(e5.pieces).encode_batch(list(texts)) for piece in encoded.ids)
    likely = sorted(
        range(SPECIAL, len(e5.pieces)), key=lambda at: (-counts[at], not _single(e5.pieces[at][0]), -e5.pieces[at][1])
    )
    usual = [at for at in likely if counts[at] or _readable(e5.pieces[at][0])]
    kept = list(range(SPECIAL)) + sorted(usual[: PIECES - SPECIAL])
    return _tokenizer([e5.pieces[at] for at in kept]), kept


def _single(piece: str) -> bool:
    return len(piece.strip("▁")) == 1


def _readable(piece: str) -> bool:
    """Whether a piece may occur in English or Chinese in lower case without marks."""
    word = piece.strip("▁")
    return word == word.lower() and all(
        letter in "'0" or "a" <= letter <= "z" or "㐀" <= letter <= "鿿" for letter in word
    )


def _tokenizer(pieces: Sequence[tuple[str, float]]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram(list(pieces), unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.enable_truncation(LONGEST)
    return tokenizer


class Layer(nn.Module):
    """One BERT layer, normalised after each half."""

    def __init__(self, size: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.ao = (nn.Linear(size, size) for _ in range(4))
        self.fi, self.fo = nn.Linear(size, inner), nn.Linear(inner, size)
        self.aln, self.oln = nn.LayerNorm(size, 1e-12), nn.LayerNorm(size, 1e-12)
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """States (batch, length, size) and what may not be looked at (batch, 1, 1, length) in, states out."""
        batch, length, size = x.shape
        shape = (batch, length, self.heads, size // self.heads)
        q, k, v = (part(x).view(shape).transpose(1, 2) for part in (self.q, self.k, self.v))
        weight = torch.softmax(q @ k.transpose(2, 3) * shape[3] ** -0.5 + hidden, -1)
        mixed = (weight @ v).transpose(1, 2).reshape(batch, length, size)
        x = self.aln(x + self.drop(self.ao(mixed)))
        return self.oln(x + self.drop(self.fo(functional.gelu(self.fi(x)))))


class Listener(nn.Module):
    """Ids of pieces (batch, length), padded by `PADDING`, in; log-odds of two kinds out, as `forward` says."""

    def __init__(self, e5: E5, kept: Sequence[int]) -> None:
        super().__init__()
        tensors = {name: torch.from_numpy(value.copy()) for name, value in e5.tensors.items()}
        size = len(tensors["emb.ln.w"])
        self.word = nn.Embedding.from_pretrained(
            tensors["emb.word"].view(-1, size)[list(kept)].clone(), freeze=False, sparse=True
        )
        place = tensors["emb.pos"].view(-1, size)[:PLACES] + tensors["emb.type"][:size]
        self.place = nn.Parameter(place.clone())
        self.normal = nn.LayerNorm(size, 1e-12)
        self.normal.load_state_dict({"weight": tensors["emb.ln.w"], "bias": tensors["emb.ln.b"]})
        self.layers = nn.ModuleList(Layer(size, e5.heads, len(tensors["l0.fi.b"])) for _ in range(LAYERS))
        for at, layer in enumerate(self.layers):
            layer.load_state_dict(
                {f"{part}.{kind}": tensors[f"l{at}.{part}.{kind[0]}"].view(value.shape)
                 for name, value in layer.state_dict().items() for part, kind in [name.split(".")]}
            )  # fmt: skip
        self.drop = nn.Dropout(0.1)
        self.head, self.places = nn.Linear(2 * size, 1), nn.Linear(size, 2)
        for head in self.head, self.places:
            nn.init.normal_(head.weight, std=0.02)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds that each row is a sentence that asks something (batch), and of each piece (batch, length, 2) that a
        sentence ends with it, and that something was just asked there.
        """  # noqa: D205
        seen = (ids != PADDING).float()
        hidden = (1.0 - seen[:, None, None, :]) * -1e4
        x = self.drop(self.normal(self.word(ids) + self.place[: ids.shape[1]]))
        for layer in self.layers:
            x = layer(x, hidden)
        mean = (x * seen[:, :, None]).sum(1) / seen.sum(1, keepdim=True)
        return self.head(self.drop(torch.cat([x[:, 0], mean], 1)))[:, 0], self.places(self.drop(x))
