"""The cache: order by version, ghosts, index, size."""

import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlagent.runtime.cache import Cache, trim

NAME_LABEL = "dlagent.io/name"


def pod(name: str, version: int, uid: str = "u1", namespace: str = "n", **labels: str) -> Any:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "labels": {key.replace("_", "/"): value for key, value in labels.items()},
        },
    }


def labelled(name: str, version: int, agent: str, **more: str) -> Any:
    obj = pod(name, version, **more)
    obj["metadata"]["labels"][NAME_LABEL] = agent
    return obj


def bytes_of(obj: object) -> int:
    """Memory that an object takes by itself, in bytes; strings that others share count in full."""
    return sum(sys.getsizeof(part) for part in _parts(obj))


def _parts(obj: object) -> Iterator[object]:
    yield obj
    if isinstance(obj, dict):
        for key, value in obj.items():
            yield key
            yield from _parts(value)
    elif isinstance(obj, list):
        for item in obj:
            yield from _parts(item)


class Heard:
    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, kind: str, obj: dict[str, Any]) -> None:
        self.names.append(f"{kind}/{obj['metadata']['name']}")


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def cache(heard: Heard) -> Cache:
    return Cache(NAME_LABEL, heard)


def version_of(cache: Cache, name: str) -> str | None:
    obj = cache.get("Pod", "n", name)
    return None if obj is None else str(obj["metadata"]["resourceVersion"])


def test_a_newer_version_replaces_and_is_told(cache: Cache, heard: Heard) -> None:
    cache.upsert("Pod", pod("a", 5))
    cache.upsert("Pod", pod("a", 7))
    assert version_of(cache, "a") == "7"
    assert heard.names == ["Pod/a", "Pod/a"]


@pytest.mark.parametrize("version", [4, 5])
def test_an_older_or_equal_version_changes_nothing_and_is_not_told(
    cache: Cache, heard: Heard, version: int
) -> None:
    cache.upsert("Pod", pod("a", 5))
    cache.upsert("Pod", pod("a", version))
    assert version_of(cache, "a") == "5"
    assert heard.names == ["Pod/a"]


def test_versions_are_numbers_not_text(cache: Cache) -> None:
    cache.upsert("Pod", pod("a", 9))
    cache.upsert("Pod", pod("a", 10))
    assert version_of(cache, "a") == "10"


def test_a_deletion_is_told_with_what_was_known_last(cache: Cache, heard: Heard) -> None:
    cache.upsert("Pod", pod("a", 5))
    cache.delete("Pod", pod("a", 6))
    cache.delete("Pod", pod("a", 6))
    assert cache.get("Pod", "n", "a") is None
    assert heard.names == ["Pod/a", "Pod/a"]


def test_a_late_deletion_does_not_take_the_next_of_that_name(cache: Cache) -> None:
    cache.upsert("Pod", pod("a", 9, uid="u2"))
    cache.delete("Pod", pod("a", 8, uid="u1"))
    assert version_of(cache, "a") == "9"


def test_an_answer_to_a_write_that_comes_after_the_deletion_revives_nothing(
    cache: Cache, heard: Heard
) -> None:
    cache.upsert("Pod", pod("a", 5))
    cache.delete("Pod", pod("a", 7))
    cache.upsert("Pod", pod("a", 6))
    assert cache.get("Pod", "n", "a") is None
    assert heard.names == ["Pod/a", "Pod/a"]


def test_what_is_made_anew_under_the_name_of_what_was_deleted_is_there(cache: Cache) -> None:
    cache.delete("Pod", pod("a", 7))
    cache.upsert("Pod", pod("a", 8, uid="u2"))
    assert version_of(cache, "a") == "8"


def test_of_what_was_deleted_only_the_latest_is_remembered() -> None:
    def deleted(count: int) -> int:
        cache = Cache(NAME_LABEL, lambda _kind, _obj: None)
        tracemalloc.start()
        try:
            for number in range(count):
                cache.delete("Pod", pod(f"pod-{number}", number))
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    assert deleted(20000) < 2 * deleted(5000)


def test_a_list_prunes_what_is_gone_and_adds_what_is_new(cache: Cache, heard: Heard) -> None:
    cache.upsert("Pod", pod("gone", 5))
    cache.upsert("Pod", pod("stays", 6))
    snapshot = cache.begin_list("Pod", None)
    cache.add_page(snapshot, [pod("stays", 6)])
    cache.add_page(snapshot, [pod("new", 7)])
    ghosts = cache.end_list(snapshot, "10")
    assert ghosts == 1
    assert sorted(cache.keys("Pod")) == [("n", "new"), ("n", "stays")]
    assert heard.names[2:] == ["Pod/new", "Pod/gone"]


def test_a_list_leaves_alone_what_came_after_it_was_asked_for(cache: Cache) -> None:
    snapshot = cache.begin_list("Pod", None)
    cache.upsert("Pod", pod("new", 12))
    assert cache.end_list(snapshot, "10") == 0
    assert version_of(cache, "new") == "12"


def test_a_list_does_not_revive_what_was_deleted_meanwhile(cache: Cache) -> None:
    cache.upsert("Pod", pod("a", 5))
    snapshot = cache.begin_list("Pod", None)
    cache.delete("Pod", pod("a", 11))
    cache.add_page(snapshot, [pod("a", 5)])
    cache.end_list(snapshot, "10")
    assert cache.get("Pod", "n", "a") is None


def test_a_list_of_one_namespace_says_nothing_about_others(cache: Cache) -> None:
    cache.upsert("Pod", pod("a", 5, namespace="other"))
    cache.end_list(cache.begin_list("Pod", "n"), "10")
    assert cache.count("Pod") == 1


def test_a_list_that_failed_changes_nothing(cache: Cache) -> None:
    cache.upsert("Pod", pod("a", 5))
    assert cache.end_list(cache.begin_list("Pod", None), None) == 0
    assert cache.count("Pod") == 1


def test_objects_are_found_by_all_of_their_labels(cache: Cache) -> None:
    cache.upsert("Pod", labelled("b", 1, "shoes", component="serving"))
    cache.upsert("Pod", labelled("a", 2, "shoes", component="build"))
    cache.upsert("Pod", labelled("c", 3, "hats", component="serving"))

    def names(**labels: str) -> list[str]:
        wanted = {NAME_LABEL if key == "agent" else key: value for key, value in labels.items()}
        return [obj["metadata"]["name"] for obj in cache.list("Pod", "n", wanted)]

    assert names() == ["a", "b", "c"]
    assert names(agent="shoes") == ["a", "b"]
    assert names(agent="shoes", component="serving") == ["b"]
    assert names(component="serving") == ["b", "c"]
    assert names(agent="none") == []
    assert cache.list("Pod", "elsewhere", {}) == []


def test_a_changed_label_moves_the_object_in_the_index(cache: Cache) -> None:
    cache.upsert("Pod", labelled("a", 1, "shoes"))
    cache.upsert("Pod", labelled("a", 2, "hats"))
    assert cache.list("Pod", "n", {NAME_LABEL: "shoes"}) == []
    assert len(cache.list("Pod", "n", {NAME_LABEL: "hats"})) == 1


def test_what_nobody_reads_is_not_kept() -> None:
    obj = pod("a", 1)
    obj["metadata"]["managedFields"] = [{"manager": "x"}]
    obj["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "kept": "yes",
    }
    obj["spec"] = {"nodeName": "node", "containers": [{"name": "triton"}]}
    trimmed = trim("Pod", obj)
    assert trimmed["spec"] == {"nodeName": "node"}
    assert trimmed["metadata"]["annotations"] == {"kept": "yes"}
    assert "managedFields" not in trimmed["metadata"]
    assert "managedFields" in obj["metadata"], "the caller's object is left as it is"


def test_the_spec_of_other_kinds_is_kept_for_comparison() -> None:
    obj = pod("a", 1) | {"kind": "Deployment", "spec": {"replicas": 1}}
    assert trim("Deployment", obj)["spec"] == {"replicas": 1}


def test_a_trimmed_pod_is_small() -> None:
    obj = pod("a", 1)
    obj["metadata"]["managedFields"] = [{"fieldsV1": {f"f:{i}": {} for i in range(100)}}]
    obj["spec"] = {"containers": [{"env": [{"name": f"n{i}", "value": "v"} for i in range(50)]}]}
    assert bytes_of(trim("Pod", obj)) < 4000 < bytes_of(obj)


def test_objects_that_grew_take_little_more_than_if_they_had_come_as_they_are() -> None:
    status = {"conditions": [{"type": f"Type{i}", "message": f"message {i}"} for i in range(60)]}
    small = [pod(f"pod-{i}", i) for i in range(500)]
    grown = [pod(f"pod-{i}", 1000 + i) | {"status": status} for i in range(500)]
    assert kept_bytes(small + grown) < 1.5 * kept_bytes(grown)


def kept_bytes(objects: list[Any]) -> int:
    """Memory of a cache that was given these objects, in bytes."""
    cache = Cache(NAME_LABEL, lambda _kind, _obj: None)
    tracemalloc.start()
    try:
        for obj in objects:
            cache.upsert("Pod", obj)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


HISTORY = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["put", "remove"])), max_size=20
)


@given(history=HISTORY, data=st.data())
def test_any_mix_of_late_events_and_a_final_list_ends_in_what_is_there(
    history: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Events of one object come in order, but any may be lost; the list comes at the end."""
    cache = Cache(NAME_LABEL, Heard())
    live: dict[str, Any] = {}
    version = 0
    for name, action in history:
        version += 1
        if action == "put":
            uid = live[name]["metadata"]["uid"] if name in live else f"u{version}"
            live[name] = pod(name, version, uid=uid)
            if data.draw(st.booleans()):
                cache.upsert("Pod", live[name])
        elif name in live:
            gone = live.pop(name)
            if data.draw(st.booleans()):
                cache.delete("Pod", pod(name, version, uid=gone["metadata"]["uid"]))
    snapshot = cache.begin_list("Pod", None)
    cache.add_page(snapshot, list(live.values()))
    cache.end_list(snapshot, str(version))
    seen = {name: cache.get("Pod", "n", name) for name in live}
    assert seen == live
    assert cache.count("Pod") == len(live)
