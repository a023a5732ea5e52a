"""Small artifacts, for the tests of stores and of what reads them."""

import hashlib
import json
from collections.abc import Mapping

KEY = "k" * 64
NETWORK = "model/1/model.onnx"
CONFIG = "model/config.pbtxt"


MEMBERS = {
    f"{member}/{path}": f"{path} of {member} ".encode() * 20
    for member in ("perceive_", "decide_", "act_")
    for path in ("config.pbtxt", "1/model.onnx" if member == "decide_" else "1/step.py")
}


def ensemble(key: str = KEY) -> dict[str, bytes]:
    """The files of an artifact with Python steps at both ends."""
    return _complete({CONFIG: b"platform: 'ensemble'\n", "model/1/README": b"?", **MEMBERS}, key)


def artifact(
    network: bytes = b"network " * 1000, more: Mapping[str, bytes] | None = None, key: str = KEY
) -> dict[str, bytes]:
    """The files of an artifact by their path, `more` among them."""
    return _complete({NETWORK: network, CONFIG: b"max_batch_size: 8\n", **(more or {})}, key)


def _complete(served: Mapping[str, bytes], key: str) -> dict[str, bytes]:
    files = {"report.json": b"{}", **served}
    table = {
        path: {"sha256": hashlib.sha256(data).hexdigest(), "sizeBytes": len(data)}
        for path, data in files.items()
    }
    return files | {"manifest.json": json.dumps({"key": key, "files": table}).encode()}
