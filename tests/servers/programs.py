"""The servers that tests of sources talk to, built or installed once into the user's cache.

fake-gcs-server and distribution's registry are Go modules, Azurite is an npm package; each is
pinned, with its hashes, by the lock file in the folder of its name.
"""

import shutil
import subprocess
from pathlib import Path

from dlagent_local import tools
from dlagent_local.cache import Recipe, Report, digest, ensure, files_digest
from dlagent_local.paths import cache_folder
from dlagent_local.recipes import GoBuild

_HERE = Path(__file__).parent
_GCS_PACKAGE = "github.com/fsouza/fake-gcs-server"
_REGISTRY_PACKAGE = "."


class MissingNpmError(RuntimeError):
    """Azurite cannot be installed: this machine has no npm."""


def fake_gcs_server() -> Path:
    """The program. Raises BuildError, MissingToolError."""
    return _go_program("gcs", "fake-gcs-server", _GCS_PACKAGE)


def oci_registry() -> Path:
    """The program. Raises BuildError, MissingToolError."""
    return _go_program("registry", "registry", _REGISTRY_PACKAGE)


def azurite() -> Path:
    """The program of the blob service. Raises MissingNpmError, CalledProcessError."""
    folder = _HERE / "azurite"
    npm = shutil.which("npm")
    if npm is None:
        raise MissingNpmError("npm is not on PATH; install Node.js to test az:// sources")

    def install(target: Path, _report: Report) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy2(folder / name, target)
        command = [npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=target, check=True, capture_output=True)

    key = digest([files_digest(folder, (".json",))])
    recipe = Recipe("azurite", key, install, "about half a minute, 60 MB to download")
    return _made(recipe) / "node_modules/.bin/azurite-blob"


def _go_program(folder: str, name: str, package: str) -> Path:
    module = _HERE / folder
    build = GoBuild(tools.go(module), module, name, package, ["-ldflags", "-s -w"])
    recipe = Recipe(name, build.key(), build.run, "about 2 minutes on 2 cores")
    return _made(recipe) / name


def _made(recipe: Recipe) -> Path:
    return ensure(recipe, cache_folder(), lambda _message, _done: None)
