"""What Triton reads of an artifact: the files of its model, and of the members of an ensemble.

For dlagent.build.publish, which keeps them, and dlagent.build.measure, which has them measured.
"""

from pathlib import Path

from dlagent.build.scripts import member
from dlagent.domain.artifact.ensemble import Configs
from dlagent.domain.artifact.layout import ACT, CONFIG, DECIDE, ENSEMBLE_NOTE, NETWORK, PERCEIVE
from dlagent.domain.artifact.request import Scripts

_NOTE = b"An ensemble. Its members are the models beside it.\n"


def repository(network: bytes, configs: Configs, scripts: Scripts) -> dict[str, bytes]:
    """The files by their path in the artifact."""
    files = {CONFIG: configs.model.encode()}
    if not configs.members:
        return files | {NETWORK: network}
    files |= {f"{name}/config.pbtxt": text.encode() for name, text in configs.members.items()}
    files |= {ENSEMBLE_NOTE: _NOTE, f"{DECIDE}/1/model.onnx": network}
    for name, script in ((PERCEIVE, scripts.perceive), (ACT, scripts.act)):
        if name in configs.members and script is not None:
            files[f"{name}/1/model.py"] = Path(member.__file__).read_bytes()
            files[f"{name}/1/{member.SCRIPT}"] = script.encode()
    return files
