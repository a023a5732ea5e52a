"""Which cluster is meant."""

from pathlib import Path

import pytest

from dlagent_local.cluster import Cluster, NotRunningError
from dlagent_local.paths import ClusterPaths
from dlagent_local.target import resolve


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("KUBECONFIG", raising=False)


def test_the_one_given_is_taken_before_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.touch()
    other.touch()
    monkeypatch.setenv("KUBECONFIG", str(other))

    assert mine == resolve(mine)
    assert other == resolve()


def test_of_several_the_first_that_exists_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b").touch()
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'a'}:{tmp_path / 'b'}")

    assert tmp_path / "b" == resolve()


def test_one_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        resolve(tmp_path / "none")


def test_else_it_is_a_local_cluster_which_must_be_up() -> None:
    with pytest.raises(NotRunningError, match="dlagent local up"):
        resolve()


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a/b", "..", "a" * 21])
def test_other_names_are_no_cluster(name: str) -> None:
    with pytest.raises(ValueError, match="cluster name"):
        Cluster(name)


def test_sockets_move_where_a_path_would_be_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/" + "long/" * 30)

    paths = ClusterPaths.of("default")

    assert len(str(paths.control)) < 107
    assert not paths.run.is_relative_to(paths.state)
