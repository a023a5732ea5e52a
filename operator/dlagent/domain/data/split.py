"""The data set, split once and for all: what may be learnt from, what chooses, what judges.

Called by the build where the examples are. An example is known by the SHA-256 of its content, so
that its place depends neither on the file's order nor on the machine.

In each stratum (the examples of a class, of those that the network was trained on or not) examples
are put in the order of their digests and cut where the parts' shares end. So a part has its share
of each stratum to within one example. When m examples are added to a stratum, at most m + 1 of
those that were there move across each of the three cuts; the others stay.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indexes = NDArray[np.int64]


class Part(StrEnum):
    """What a part of the data set is for."""

    TRAIN = "train"
    """Distillation and fine-tuning."""
    CALIBRATE = "calibrate"
    """The ranges of activations for INT8."""
    SELECT = "select"
    """Comparing candidates, as often as the search wants."""
    GATE = "gate"
    """Judging the finalists, once."""


LEARNING = (Part.TRAIN, Part.CALIBRATE)
JUDGING = (Part.SELECT, Part.GATE)

SHARES: Mapping[Part, float] = {
    # Distillation gains with every example, and nothing else gives back what pruning took.
    Part.TRAIN: 0.40,
    # A few hundred examples fix the ranges, and more change little.
    Part.CALIBRATE: 0.05,
    # Its errors cost a second-best candidate and never a wrong pass.
    Part.SELECT: 0.20,
    # The bound of the drop shrinks with the root of its size: it decides what can pass at all.
    Part.GATE: 0.35,
}


@dataclass(frozen=True, eq=False)
class Split:
    """`parts` are indexes of the data set's examples, each part in the order of the digests.

    `duplicates` were left out since another example has the same content. `conflicting` were left
    out, all of them, since examples of the same content have different labels.
    """

    parts: Mapping[Part, Indexes]
    duplicates: int
    conflicting: int


def content_digests(inputs: Mapping[str, NDArray[Any]]) -> list[bytes]:
    """The SHA-256 of each example: of the bytes of its inputs, in the order of their names.

    The first axis of each array is that of the examples.
    """
    arrays = [np.ascontiguousarray(inputs[name]) for name in sorted(inputs)]
    digests = []
    for rows in zip(*arrays, strict=True):
        digest = hashlib.sha256()
        for row in rows:
            digest.update(row.tobytes())
        digests.append(digest.digest())
    return digests


def split(digests: Sequence[bytes], labels: Indexes | None, trained_on: NDArray[np.bool_]) -> Split:
    """Divide the examples. Where some are `trained_on`, these are learnt from, the others judge.

    Of examples with the same content one is kept; where the network was trained on any of them it
    counts as trained on.
    """
    by_content: dict[bytes, list[int]] = {}
    for index, digest in enumerate(digests):
        by_content.setdefault(digest, []).append(index)
    strata: dict[tuple[bool, int], list[bytes]] = {}
    conflicting = 0
    for digest in sorted(by_content):
        same = by_content[digest]
        given = {int(labels[index]) for index in same} if labels is not None else {0}
        if len(given) > 1:
            conflicting += len(same)
            continue
        trained = bool(trained_on[same].any())
        strata.setdefault((trained, given.pop()), []).append(digest)
    parted: dict[Part, list[bytes]] = {part: [] for part in Part}
    for (trained, _), stratum in strata.items():
        for part, members in _cut(stratum, _parts_of(trained, bool(trained_on.any()))):
            parted[part].extend(members)
    kept = {
        part: np.array([by_content[digest][0] for digest in sorted(members)], dtype=np.int64)
        for part, members in parted.items()
    }
    duplicates = len(digests) - conflicting - sum(len(indexes) for indexes in kept.values())
    return Split(kept, duplicates, conflicting)


def _parts_of(trained: bool, any_trained: bool) -> tuple[Part, ...]:
    if not any_trained:
        return tuple(Part)
    return LEARNING if trained else JUDGING


def _cut(stratum: Sequence[bytes], parts: Sequence[Part]) -> list[tuple[Part, Sequence[bytes]]]:
    """Each part's share of the stratum; the ends are rounded, and the last one is the stratum's."""
    total = sum(SHARES[part] for part in parts)
    ends = accumulate(SHARES[part] for part in parts)
    cuts = [0, *(round(len(stratum) * end / total) for end in ends)]
    return [
        (part, stratum[start:end]) for part, (start, end) in zip(parts, pairwise(cuts), strict=True)
    ]
