"""Makes .venv: exactly what requirements.lock names, by hash, and the `dlagent` command.

`make` runs it before each target with the machine's own Python, so it stands on the standard
library alone. When the environment is up to date it returns at once.
"""

import fcntl
import hashlib
import re
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
BIN = VENV / "bin"
STAMP = VENV / ".requirements-lock"
SOURCES = ("operator", "local")
COMMANDS = {"dlagent": "dlagent.cli.main", "kubectl-dlagent": "dlagent.cli.main"}
# Guarded: what multiprocessing spawns imports the program that it was started by.
LAUNCHER = """#!{python}
import sys

from {module} import main

if __name__ == "__main__":
    sys.exit(main())
"""
SUPPORTED = ((3, 11), (3, 12))


def main() -> None:
    if sys.version_info[:2] not in SUPPORTED:
        sys.exit(f"error: Python 3.11 or 3.12 is needed, this is {sys.version.split()[0]}")
    wanted = _wanted()
    if _is_ready(wanted):
        return
    (ROOT / ".make").mkdir(exist_ok=True)
    with (ROOT / ".make/environment.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two makes at a time: the second finds it ready
        if not _is_ready(wanted):
            _make(wanted)


def _wanted() -> str:
    """What the environment is made of; changes when it must be made again."""
    parts = [LOCK.read_bytes(), Path(__file__).read_bytes(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _is_ready(wanted: str) -> bool:
    return STAMP.exists() and STAMP.read_text() == wanted


def _make(wanted: str) -> None:
    print("environment: installing what requirements.lock names (the first time: minutes)")
    STAMP.unlink(missing_ok=True)
    if not (_packages().is_dir() and (BIN / "python").exists()):
        _create()
    _install_uv()
    uv = str(BIN / "uv")
    # Compiled once, here: containers see the environment read-only and would compile at each start.
    sync = [uv, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode"]
    _run([*sync, "--python", str(BIN / "python"), str(LOCK)])
    _link_sources()
    STAMP.write_text(wanted)
    print(f"environment: ready in {VENV.name}/")


def _create() -> None:
    try:
        venv.create(VENV, clear=True, with_pip=True, symlinks=True)
    except subprocess.CalledProcessError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(
            f"error: this Python has no ensurepip (Debian: the package python{version}-venv). "
            "Install it, or name another: make PYTHON=/path/to/python3.11"
        )


def _install_uv() -> None:
    """uv itself, in the version and with the hashes that the lock file gives."""
    section = re.search(r"^uv==.*\n(?: .*\n)*", LOCK.read_text(), re.MULTILINE)
    if section is None:
        sys.exit("error: requirements.lock does not name uv")
    version = section.group().split()[0].removeprefix("uv==").rstrip("\\")
    if _version_of_uv() == version:
        return
    with tempfile.TemporaryDirectory() as folder:
        only_uv = Path(folder) / "uv.txt"
        only_uv.write_text(section.group())
        pip = [str(BIN / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
        _run([*pip, "--disable-pip-version-check", "--requirement", str(only_uv)])


def _version_of_uv() -> str | None:
    if not (BIN / "uv").exists():
        return None
    told = subprocess.run([BIN / "uv", "--version"], capture_output=True, text=True, check=False)
    return told.stdout.split()[1] if told.returncode == 0 else None


def _link_sources() -> None:
    """`import dlagent` and .venv/bin/dlagent use the sources of this folder."""
    folders = "".join(f"{ROOT / name}\n" for name in SOURCES)
    (_packages() / "dlagent.pth").write_text(folders)
    write_commands(BIN, BIN / "python")


def write_commands(folder: Path, python: Path) -> None:
    """The programs of COMMANDS in a folder, to be run by that Python."""
    for name, module in COMMANDS.items():
        script = folder / name
        script.write_text(LAUNCHER.format(python=python, module=module))
        script.chmod(0o755)


def _packages() -> Path:
    """Where .venv keeps its packages; the name has this Python's version in it."""
    return Path(sysconfig.get_path("purelib", "venv", vars={"base": str(VENV)}))


def _run(command: list[str]) -> None:
    result = subprocess.run(command, cwd=ROOT, check=False)
    if result.returncode != 0:
        sys.exit(f"error: `{' '.join(command[:4])} ...` ended with {result.returncode}")


if __name__ == "__main__":
    main()
