"""What Triton reads of an artifact: the files of its model, and of the members of an ensemble.

For dlagent.build.publish, which keeps them, dlagent.build.measure, which has them measured, and
dlagent.build.handover, which lets no other code through.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from dlagent.domain.artifact.engine import Engine
from dlagent.domain.artifact.layout import (
    ACT,
    CONFIG,
    ENSEMBLE_NOTE,
    PERCEIVE,
    SCRIPT,
    SCRIPT_MODULE,
    network_path,
)
from dlagent.domain.artifact.request import Scripts

if TYPE_CHECKING:  # protobuf comes with it, which nothing may load where credentials are
    from dlagent.domain.artifact.ensemble import Configs

_MODULE = Path(__file__).with_name("scripts") / "member.py"
_NOTE = b"An ensemble. Its members are the models beside it.\n"


def repository(
    network: bytes, configs: "Configs", scripts: Scripts, engine: Engine
) -> dict[str, bytes]:
    """The files by their path in the artifact."""
    path = network_path(engine, is_member=bool(configs.members))
    files = {CONFIG: configs.model.encode(), path: network}
    if not configs.members:
        return files
    files |= {f"{name}/config.pbtxt": text.encode() for name, text in configs.members.items()}
    return files | {ENSEMBLE_NOTE: _NOTE} | code(scripts)


def code(scripts: Scripts) -> dict[str, bytes]:
    """All files with code that an artifact of these scripts has, by their path in it."""
    files: dict[str, bytes] = {}
    for name, script in ((PERCEIVE, scripts.perceive), (ACT, scripts.act)):
        if script is not None:
            files[f"{name}/{SCRIPT_MODULE}"] = _MODULE.read_bytes()
            files[f"{name}/{SCRIPT}"] = script.encode()
    return files
