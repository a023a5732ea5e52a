"""The images file: which folders of this machine make up each local image.

A container sees the system's folders and those of its image, nothing else. There is no registry
and nothing is copied: a changed source file is in the next container that starts.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPERATOR = "dlagent.local/operator:dev"
BUILDER = "dlagent.local/builder:dev"
TRITON = "dlagent.local/triton:24.10"
PROMETHEUS = "dlagent.local/prometheus:3"

USER = "65532"
_OPERATOR_SOURCE = "/opt/dlagent/operator"
_OPERATOR_PROGRAMS = "/opt/dlagent/bin"
_ENVIRONMENT = "/opt/dlagent/environment"
_PROGRAMS = Path(__file__).parent / "bin"
_TRITON = "/opt/triton"
_PROMETHEUS = "/opt/prometheus"
_NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1"}  # onnxruntime reports to its makers by default
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """Folders by their path in the container, and what a container's configuration defaults to."""

    name: str
    folders: dict[str, Path]
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)

    def entry(self) -> dict[str, Any]:
        """As the process runtime reads it."""
        folders = [
            {"source": str(source), "target": target} for target, source in self.folders.items()
        ]
        return {
            "name": self.name,
            "folders": folders,
            "env": self.environment,
            "entrypoint": self.entrypoint,
            "workingDir": "/",
            "user": USER,
        }


@dataclass(frozen=True)
class Python:
    """A Python environment: the folder of the venv and that of the Python it is made from."""

    prefix: Path
    base: Path

    @classmethod
    def running(cls) -> Python:
        return cls(Path(sys.prefix), Path(sys.base_prefix))

    def base_folders(self) -> dict[str, Path]:
        """The base under its own path, since a venv names its Python by an absolute path.

        Where a part of the path is a link, the path that it leads to is there as well.
        """
        real = self.base.resolve()
        return {str(path): real for path in (self.base, real) if not _is_system(path)}


def images(python: Python, operator: Path, triton: Path, prometheus: Path) -> dict[str, Any]:
    """The content of the images file.

    `operator` is the folder of the operator's source, `triton` the cached environment with its
    backends, `prometheus` the folder of the binary.
    """
    entries = [
        _python_image(OPERATOR, python, operator),
        _python_image(BUILDER, python, operator),
        _triton_image(python, triton),
        Image(
            PROMETHEUS,
            {_PROMETHEUS: prometheus},
            {"PATH": f"{_PROMETHEUS}:{_SYSTEM_PATH}"},
            [f"{_PROMETHEUS}/prometheus"],
        ),
    ]
    return {"images": [image.entry() for image in entries]}


def _python_image(name: str, python: Python, operator: Path) -> Image:
    # The environment has a path of its own here: under the one that it has on this machine, a
    # volume of a pod (on /tmp, say) could hide it.
    folders = {
        **python.base_folders(),
        _ENVIRONMENT: python.prefix.resolve(),
        _OPERATOR_SOURCE: operator,
        _OPERATOR_PROGRAMS: _PROGRAMS,
    }
    return Image(
        name,
        folders,
        {
            "PATH": f"{_OPERATOR_PROGRAMS}:{_ENVIRONMENT}/bin:{_SYSTEM_PATH}",
            **_NO_TELEMETRY,
            "PYTHONPATH": _OPERATOR_SOURCE,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        },
    )


def _triton_image(python: Python, triton: Path) -> Image:
    site_packages = f"{_TRITON}/environment/lib/{_python_folder()}/site-packages"
    folder = f"{site_packages}/pytriton/tritonserver"
    tritonserver = f"{folder}/bin"
    libraries = [f"{site_packages}/nvidia_pytriton.libs", f"{python.base}/lib"]
    return Image(
        TRITON,
        {**python.base_folders(), _TRITON: triton},
        {
            # Triton's stub takes the first `python3` on PATH for its environment.
            "PATH": f"{_TRITON}/environment/bin:{tritonserver}:{_SYSTEM_PATH}",
            **_NO_TELEMETRY,
            "LD_LIBRARY_PATH": os.pathsep.join(libraries),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        # Where the wheel has what NVIDIA's image has at Triton's default path.
        [f"{tritonserver}/tritonserver", f"--cache-directory={folder}/caches"],
    )


def _python_folder() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def _is_system(path: Path) -> bool:
    """Whether every container has it anyway."""
    return path.is_relative_to("/usr") and not path.is_relative_to("/usr/local")
