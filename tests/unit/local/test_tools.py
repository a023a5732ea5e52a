"""Versions of Go, as it prints them and as go.mod asks for them."""

import pytest

from dlagent_local.tools import needed_go_version, parse_go_version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("go1.26.8", (1, 26, 8), id="a release"),
        pytest.param("go1.27", (1, 27, 0), id="a first release"),
        pytest.param("go1.27rc1", (1, 27, 0), id="a candidate"),
        pytest.param("devel go1.28-abc", (), id="no release"),
        pytest.param("", (), id="nothing"),
    ],
)
def test_versions_are_parsed(text: str, expected: tuple[int, ...]) -> None:
    assert expected == parse_go_version(text)


def test_what_is_no_release_is_older_than_any() -> None:
    assert parse_go_version("devel") < parse_go_version("go1.1")


def test_the_needed_version_is_that_of_the_module() -> None:
    assert (1, 26, 7) == needed_go_version("module x\n\ngo 1.26.7\n\nrequire y v1.0.0\n")
