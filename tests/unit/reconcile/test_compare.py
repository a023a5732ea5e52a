"""contains: what we applied is recognised whatever the apiserver adds, and drift is seen."""

import copy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlagent.reconcile.compare import contains

SAME: list[tuple[str, Any, Any]] = [
    ("defaulted fields are ignored", {"a": 1}, {"a": 1, "b": 2}),
    ("quantities by value", {"limits": {"cpu": "1"}}, {"limits": {"cpu": "1000m"}}),
    ("a quantity may be a number", {"limits": {"cpu": 1}}, {"limits": {"cpu": "1"}}),
    ("a size limit", {"sizeLimit": "1024Mi"}, {"sizeLimit": "1Gi"}),
    ("an empty map is dropped by the apiserver", {"resources": {}}, {}),
    ("an empty list is dropped by the apiserver", {"args": []}, {"args": None}),
    ("a null means absent", {"a": None}, {}),
    (
        "a variable's empty value is dropped by the apiserver",
        {"env": [{"name": "N", "value": ""}]},
        {"env": [{"name": "N"}]},
    ),
    (
        "others may add a container",
        {"containers": [{"name": "a"}]},
        {"containers": [{"name": "x"}, {"name": "a", "image": "i"}]},
    ),
    (
        "others may add an owner",
        {"ownerReferences": [{"uid": "1"}]},
        {"ownerReferences": [{"uid": "2"}, {"uid": "1"}]},
    ),
    ("others may add a label", {"labels": {"a": "1"}}, {"labels": {"a": "1", "b": "2"}}),
    (
        "elements of a replaced list are defaulted too",
        {"ports": [{"port": 1}]},
        {"ports": [{"port": 1, "protocol": "TCP"}]},
    ),
]
DIFFERENT: list[tuple[str, Any, Any]] = [
    ("a changed value", {"a": 1}, {"a": 2}),
    ("a missing value", {"a": 1}, {}),
    ("an object that is gone", {"a": 1}, None),
    ("an argument was added", {"args": ["a"]}, {"args": ["a", "b"]}),
    ("arguments were reordered", {"args": ["a", "b"]}, {"args": ["b", "a"]}),
    ("a container is gone", {"containers": [{"name": "a"}]}, {"containers": []}),
    ("a Service's selector was widened", {"selector": {"a": "1"}}, {"selector": {}}),
    (
        "a Service's selector was narrowed",
        {"selector": {"a": "1"}},
        {"selector": {"a": "1", "b": "2"}},
    ),
    (
        "a policy's selector was narrowed",
        {"podSelector": {"matchLabels": {"a": "1"}}},
        {"podSelector": {"matchLabels": {"a": "1", "b": "2"}}},
    ),
    ("True is not 1", {"a": True}, {"a": 1}),
    (
        "environment is text, not a quantity",
        {"env": [{"name": "N", "value": "1"}]},
        {"env": [{"name": "N", "value": "1000m"}]},
    ),
    (
        "a variable is to be empty and is not",
        {"env": [{"name": "N", "value": ""}]},
        {"env": [{"name": "N", "value": "1"}]},
    ),
    ("a label without a value is gone", {"labels": {"a": ""}}, {"labels": {}}),
    ("a quantity that differs", {"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}),
    ("a list became a map", {"a": [1]}, {"a": {"b": 1}}),
]


@pytest.mark.parametrize(("desired", "live"), [row[1:] for row in SAME], ids=[r[0] for r in SAME])
def test_nothing_to_write(desired: Any, live: Any) -> None:
    assert contains(live, desired)


@pytest.mark.parametrize(
    ("desired", "live"), [row[1:] for row in DIFFERENT], ids=[r[0] for r in DIFFERENT]
)
def test_drift(desired: Any, live: Any) -> None:
    assert not contains(live, desired)


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
NAMES = st.sampled_from(["a", "b", "limits", "containers", "selector", "args", "sizeLimit"])
TREES = st.recursive(
    LEAVES,
    lambda children: (
        st.dictionaries(NAMES.filter(lambda name: name != "containers"), children, max_size=3)
        | st.lists(children, max_size=3)
    ),
    max_leaves=12,
)


@given(TREES)
@example({"limits": "NaN"})
def test_every_object_contains_itself(tree: Any) -> None:
    assert contains(copy.deepcopy(tree), tree)


@given(st.dictionaries(st.sampled_from(["a", "b", "args", "limits"]), TREES, max_size=4))
def test_an_added_field_at_the_top_is_no_drift(tree: dict[str, Any]) -> None:
    assert contains({**tree, "zz-defaulted": "x"}, tree)


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), min_size=1))
def test_a_changed_leaf_is_drift(tree: dict[str, Any]) -> None:
    name = min(tree)
    assert not contains({**tree, name: tree[name] + 1}, tree)
