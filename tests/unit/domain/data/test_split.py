"""The split: complete, disjoint, by content alone, in shares."""

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlagent.domain.data.split import (
    JUDGING,
    LEARNING,
    SHARES,
    Part,
    Split,
    content_digests,
    split,
)

Example = tuple[int, int, bool]  # content, label, trained on


def divided(examples: list[Example]) -> Split:
    digests = [hashlib.sha256(str(content).encode()).digest() for content, _, _ in examples]
    labels = np.array([label for _, label, _ in examples], dtype=np.int64)
    return split(digests, labels, np.array([trained for _, _, trained in examples], dtype=bool))


def parts_of(examples: list[Example]) -> dict[int, Part]:
    """The part of each content."""
    return {
        examples[index][0]: part
        for part, indexes in divided(examples).parts.items()
        for index in indexes
    }


contents = st.lists(st.integers(0, 10**6), min_size=1, max_size=80, unique=True)
# Of each content one label, so that contents may occur twice without conflict.
data_sets = contents.flatmap(
    lambda unique: st.lists(
        st.sampled_from([(c, c % 3, c % 7 == 0) for c in unique]), min_size=1, max_size=120
    )
)


def test_shares_are_of_one_whole() -> None:
    assert pytest.approx(1) == sum(SHARES.values())


@settings(max_examples=60, deadline=None)
@given(data_sets)
def test_each_content_is_in_one_part_and_nothing_else_is(examples: list[Example]) -> None:
    found = divided(examples)
    kept = [examples[i][0] for indexes in found.parts.values() for i in indexes]
    assert Counter({content for content, _, _ in examples}) == Counter(kept)
    assert len(examples) - len(kept) == found.duplicates
    assert 0 == found.conflicting


@settings(max_examples=60, deadline=None)
@given(data_sets, st.randoms())
def test_the_order_of_the_file_does_not_matter(examples: list[Example], random: Any) -> None:
    mixed = random.sample(examples, len(examples))

    def in_order(given_: list[Example]) -> dict[Part, list[int]]:
        parts = divided(given_).parts
        return {part: [given_[i][0] for i in indexes] for part, indexes in parts.items()}

    assert in_order(examples) == in_order(mixed)


@settings(max_examples=60, deadline=None)
@given(contents)
def test_each_class_is_divided_by_the_shares_to_within_one(unique: list[int]) -> None:
    examples = [(content, content % 3, False) for content in unique]
    seen = Counter((content % 3, part) for content, part in parts_of(examples).items())
    for label in range(3):
        size = sum(content % 3 == label for content in unique)
        for part in Part:
            assert abs(seen[label, part] - SHARES[part] * size) <= 1


@settings(max_examples=60, deadline=None)
@given(contents, st.integers(0, 79))
def test_few_examples_move_when_some_are_added(unique: list[int], old: int) -> None:
    """Of one class: m added ones move at most m + 1 of the others across each of three cuts."""
    first = [(content, 0, False) for content in unique[: old + 1]]
    all_ = [(content, 0, False) for content in unique]
    before, after = parts_of(first), parts_of(all_)
    moved = sum(part != after[content] for content, part in before.items())
    added = len(all_) - len(first)
    assert moved <= 3 * (added + 1) if added else moved == 0


def test_other_classes_do_not_matter() -> None:
    one = [(content, 0, False) for content in range(50)]
    both = [*one, *((content, 1, False) for content in range(50, 73))]
    assert parts_of(one) == {c: p for c, p in parts_of(both).items() if c < 50}


@settings(max_examples=60, deadline=None)
@given(data_sets)
def test_what_the_network_has_seen_never_judges(examples: list[Example]) -> None:
    trained = {content for content, _, seen in examples if seen}
    for content, part in parts_of(examples).items():
        if trained:
            assert part in (LEARNING if content in trained else JUDGING)


def test_a_content_that_was_trained_on_once_was_trained_on() -> None:
    examples = [(1, 0, False), (1, 0, True), *((c, 0, False) for c in range(2, 10))]
    assert parts_of(examples)[1] in LEARNING


def test_contradicting_examples_are_left_out_all_of_them() -> None:
    found = divided([(1, 0, False), (1, 1, False), (1, 1, False), (2, 0, False), (2, 0, False)])
    assert (3, 1) == (found.conflicting, found.duplicates)
    assert [3] == [i for indexes in found.parts.values() for i in indexes]


def test_without_labels_equal_contents_cannot_contradict() -> None:
    digests = [b"a" * 32, b"b" * 32, b"a" * 32]
    found = split(digests, None, np.zeros(3, dtype=bool))
    assert (0, 1) == (found.conflicting, found.duplicates)


def test_digests_are_of_the_bytes_by_the_names_of_the_inputs() -> None:
    image = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    mask = np.array([[True], [False]])
    expected = [hashlib.sha256(bytes([*range(4 * i, 4 * i + 4), 1 - i])).digest() for i in (0, 1)]
    assert expected == content_digests({"mask": mask, "image": image})
    assert expected == content_digests({"image": np.asfortranarray(image), "mask": mask})
