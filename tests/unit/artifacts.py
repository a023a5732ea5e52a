"""Small artifacts, for the tests of stores and of what reads them."""

import hashlib
import json
from collections.abc import Mapping

KEY = "k" * 64
NETWORK = "model/1/model.onnx"
CONFIG = "model/config.pbtxt"


def artifact(
    network: bytes = b"network " * 1000, more: Mapping[str, bytes] | None = None, key: str = KEY
) -> dict[str, bytes]:
    """The files of an artifact by their path, `more` among them."""
    files = {
        NETWORK: network,
        CONFIG: b"max_batch_size: 8\n",
        "report.json": b"{}",
        **(more or {}),
    }
    table = {
        path: {"sha256": hashlib.sha256(data).hexdigest(), "sizeBytes": len(data)}
        for path, data in files.items()
    }
    return files | {"manifest.json": json.dumps({"key": key, "files": table}).encode()}
