"""What the launcher builds or installs, and how: localkube, Prometheus, the Triton environment."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from dlagent_local import tools
from dlagent_local.cache import Recipe, Report, digest, ensure, files_digest
from dlagent_local.paths import REPOSITORY, cache_folder
from dlagent_local.progress import Progress

KUBERNETES_VERSION = "1.37.2"
PROMETHEUS_PACKAGE = "github.com/prometheus/prometheus/cmd/prometheus"
PROMTOOL_PACKAGE = "github.com/prometheus/prometheus/cmd/promtool"
# Of the ways to discover targets only this one is built in: it halves the build.
PROMETHEUS_TAGS = "remove_all_sd,enable_kubernetes_sd"
KWOK_PACKAGE = "sigs.k8s.io/kwok/cmd/kwok"
READY_LOCALKUBE = "DLAGENT_LOCALKUBE"  # environment: a localkube to use instead of building one

_LINES_SHOWN = 30
_SITE_PACKAGES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
TRITON_IN_ENVIRONMENT = f"{_SITE_PACKAGES}/pytriton/tritonserver"


Command = list[str | Path]


class BuildError(RuntimeError):
    """A build failed; the message ends with the last lines that it printed."""


@dataclass(frozen=True)
class Installed:
    """The folders in the cache, all there."""

    localkube: Path  # the binary
    prometheus: Path  # the folder of the binary
    triton: Path  # holds `environment` and `backends`


def install(progress: Progress) -> Installed:
    """Make what is not in the cache yet, in parallel. Raises BuildError, MissingToolError."""
    wanted = [prometheus(), triton()]
    ready = os.environ.get(READY_LOCALKUBE)
    if not ready:
        wanted.insert(0, localkube())
    with ThreadPoolExecutor(len(wanted)) as pool:
        folders = list(pool.map(partial(_one, progress), wanted))
    done = {recipe.what: folder for recipe, folder in zip(wanted, folders, strict=True)}
    binary = Path(ready) if ready else done["localkube"] / "localkube"
    return Installed(binary, done["prometheus"], done["triton"])


def _one(progress: Progress, recipe: Recipe) -> Path:
    if recipe.path(cache_folder()).is_dir():
        return ensure(recipe, cache_folder(), lambda _message, _done: None)
    progress.begin(recipe.what, f"first time, {recipe.estimate}")
    path = ensure(recipe, cache_folder(), partial(progress.advance, recipe.what))
    progress.end(recipe.what)
    return path


def localkube() -> Recipe:
    module = REPOSITORY / "local/controlplane"
    go = tools.go(module)
    minor = KUBERNETES_VERSION.split(".")
    stamp = "k8s.io/component-base/version."
    values = {"gitVersion": f"v{KUBERNETES_VERSION}", "gitMajor": minor[0], "gitMinor": minor[1]}
    flags = " ".join(["-s", "-w"] + [f"-X {stamp}{name}={v}" for name, v in values.items()])
    build = GoBuild(go, module, "localkube", ".", ["-ldflags", flags])
    return Recipe("localkube", build.key(), build.run, "about 7 minutes on 2 cores")


def prometheus() -> Recipe:
    return _of_prometheus("prometheus", PROMETHEUS_PACKAGE)


def promtool() -> Recipe:
    """Evaluates rules on samples in a file; not part of `install`, tests of the rules need it."""
    return _of_prometheus("promtool", PROMTOOL_PACKAGE)


def _of_prometheus(program: str, package: str) -> Recipe:
    module = REPOSITORY / "local/prometheus"
    options = ["-ldflags", "-s -w", "-tags", PROMETHEUS_TAGS]
    build = GoBuild(tools.go(module), module, program, package, options)
    return Recipe(program, build.key(), build.run, "about 3 minutes on 2 cores")


def kwok() -> Recipe:
    """Plays nodes and pods without processes; not part of `install`, one benchmark needs it."""
    module = REPOSITORY / "local/kwok"
    build = GoBuild(tools.go(module), module, "kwok", KWOK_PACKAGE, ["-ldflags", "-s -w"])
    return Recipe("kwok", build.key(), build.run, "about 2 minutes on 2 cores")


@dataclass(frozen=True)
class GoBuild:
    """A static binary from a Go module of this repository."""

    go: Path
    module: Path
    output: str
    package: str
    options: list[str]

    def key(self) -> str:
        version = ".".join(map(str, tools.go_version(self.go)))
        sources = files_digest(self.module, (".go", "go.mod", "go.sum"))
        return digest([version, platform.machine(), sources, self.package, *self.options])

    def run(self, target: Path, report: Report) -> None:
        report("downloading modules", None)
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
        listing: Command = [self.go, "list", "-deps", *self._tags(), self.package]
        total = len(_run(listing, self.module, environment).splitlines())
        report("compiling", 0.0)
        command: Command = [self.go, "build", "-v", "-trimpath", *self.options]
        command += ["-o", target / self.output, self.package]
        done = 0

        def compiled(_line: str) -> None:
            nonlocal done
            done += 1
            report(f"compiling, {done} of at most {total} packages", min(done / total, 1.0))

        _run(command, self.module, environment, compiled)

    def _tags(self) -> list[str]:
        if "-tags" not in self.options:
            return []
        at = self.options.index("-tags")
        return self.options[at : at + 2]


def triton() -> Recipe:
    folder = REPOSITORY / "local/triton"
    lock = (folder / "requirements.lock").read_bytes()
    backend = (folder / "backend/model.py").read_bytes()
    python = os.path.realpath(sys.executable)
    key = digest([lock, backend, python, platform.python_version(), platform.machine()])
    return Recipe("triton", key, _install_triton, "about 1 minute, 80 MB to download")


def _install_triton(target: Path, report: Report) -> None:
    environment = target / "environment"
    lock = REPOSITORY / "local/triton/requirements.lock"
    python = os.path.realpath(sys.executable)
    report("installing Triton and onnxruntime", None)
    settings = {**os.environ, "VIRTUAL_ENV": str(environment), "UV_LINK_MODE": "copy"}
    uv = tools.uv()
    _run([uv, "venv", "--quiet", "--no-project", "--python", python, environment], target, settings)
    # Compiled here, since containers see it read-only and would compile at each start.
    sync = ["pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode"]
    _run([uv, *sync, lock], target, settings)
    _write_backends(environment, target / "backends")


def _write_backends(environment: Path, backends: Path) -> None:
    """The folder for --backend-directory. Copies: Triton refuses links that leave it."""
    tritonserver = environment / TRITON_IN_ENVIRONMENT
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = tritonserver / "python_backend_stubs" / version / "triton_python_backend_stub"
    for name in ("python", "onnxruntime"):
        shutil.copytree(tritonserver / "backends/python", backends / name)
        shutil.copy2(stub, backends / name)
    shutil.copy2(REPOSITORY / "local/triton/backend/model.py", backends / "onnxruntime")


def shared_libpython() -> Path | None:
    """The running Python's shared library, which Triton's stub links to; None when not there."""
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    folders = [sysconfig.get_config_var("LIBDIR"), f"{sys.base_prefix}/lib"]
    multi_arch = sysconfig.get_config_var("MULTIARCH")
    folders += [f"/usr/lib/{multi_arch}", "/usr/lib64", "/usr/lib"]
    for folder in filter(None, folders):
        if (Path(folder) / name).exists():
            return Path(folder) / name
    return None


def _run(
    command: Command,
    folder: Path,
    environment: dict[str, str],
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run to the end; what it printed. Lines of its standard error go to `on_line` as they come."""
    last: deque[str] = deque(maxlen=_LINES_SHOWN)
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        with ThreadPoolExecutor(1) as pool:
            output = pool.submit(_read, process.stdout)
            for line in process.stderr or ():
                last.append(line)
                if on_line is not None:
                    on_line(line)
        printed = output.result()
    if process.returncode != 0:
        shown = " ".join(map(str, command[:3]))
        raise BuildError(f"`{shown} ...` ended with {process.returncode}:\n{''.join(last)}")
    return printed


def _read(stream: IO[str] | None) -> str:
    return stream.read() if stream is not None else ""
