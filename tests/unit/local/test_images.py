"""The images file: complete, and nothing in it but what is needed."""

from pathlib import Path

from dlagent_local import images
from dlagent_local.images import BUILDER, OPERATOR, PROMETHEUS, TRITON, Python


def entries(python: Python) -> dict[str, dict[str, object]]:
    content = images.images(python, Path("/src/operator"), Path("/c/triton"), Path("/c/prom"))
    return {entry["name"]: entry for entry in content["images"]}


def targets(entry: dict[str, object]) -> dict[str, str]:
    folders = entry["folders"]
    assert isinstance(folders, list)
    return {folder["target"]: folder["source"] for folder in folders}


HOME = Python(Path("/home/u/venv"), Path("/home/u/python"))
SYSTEM = Python(Path("/home/u/venv"), Path("/usr"))


def test_every_image_of_the_contract_is_there() -> None:
    assert {OPERATOR, BUILDER, TRITON, PROMETHEUS} == set(entries(HOME))


def test_the_operator_sees_its_source_its_environment_and_python() -> None:
    assert {
        "/home/u/python": "/home/u/python",
        "/opt/dlagent/environment": "/home/u/venv",
        "/opt/dlagent/operator": "/src/operator",
        "/opt/dlagent/bin": str(Path(images.__file__).parent / "bin"),
    } == targets(entries(HOME)[OPERATOR])


def test_the_systems_own_python_needs_no_folder() -> None:
    found = targets(entries(SYSTEM)[OPERATOR])

    assert {
        "/opt/dlagent/environment",
        "/opt/dlagent/operator",
        "/opt/dlagent/bin",
    } == set(found)


def test_a_python_below_usr_local_is_a_folder_of_its_own() -> None:
    python = Python(Path("/home/u/venv"), Path("/usr/local"))

    assert "/usr/local" in targets(entries(python)[BUILDER])


def test_a_linked_python_is_there_under_both_paths(tmp_path: Path) -> None:
    (tmp_path / "3.11.7").mkdir()
    (tmp_path / "3.11").symlink_to("3.11.7")
    python = Python(Path("/home/u/venv"), tmp_path / "3.11")

    found = targets(entries(python)[OPERATOR])

    real = str(tmp_path / "3.11.7")
    assert real == found[real] == found[str(tmp_path / "3.11")]


def test_an_environment_below_tmp_is_not_hidden_by_a_pods_volume() -> None:
    python = Python(Path("/tmp/clone/.venv"), Path("/usr"))

    found = targets(entries(python)[OPERATOR])

    assert [] == [target for target in found if target.startswith("/tmp")]


def test_triton_does_not_see_the_projects_environment() -> None:
    found = targets(entries(HOME)[TRITON])

    assert {"/home/u/python", "/opt/triton"} == set(found)


def test_every_image_runs_as_an_unprivileged_user() -> None:
    assert {"65532"} == {str(entry["user"]) for entry in entries(HOME).values()}
